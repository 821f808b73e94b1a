//! Whatever an input is cut at, exactly the batches come back that were whole before the cut.
//!
//! Cut at every byte of the last three messages, of the end-of-stream marker and of the footer, and at 1,000 random
//! places: a file and a stream, plain and compressed, with dictionaries that grow. Every output is read by `arrow-ipc`,
//! unless it is the same, byte for byte, as one that has been; and every one of those is validated in full by pyarrow.
//!
//! Fails where a message is kept that is not whole, or one is cut that is; where the end or the footer of an output is
//! not what it should be; and where a tear is taken for damage.

use std::collections::HashMap;

use ipc_core::{Compression, DictionaryHandling, Options};
use ipc_recover::{Condition, Error, Kind, RecoverOptions};
use ipc_tests::arrays::Sharing;
use ipc_tests::batches::{Batches, Plan};
use ipc_tests::framing::messages;
use ipc_tests::outside::{self, Pair};
use ipc_tests::random::Random;
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use arrow_schema::{DataType, Field, Metadata};

use super::support::recover;

/// An input to cut.
struct Whole {
    kind: Kind,
    batches: Batches,
    options: Options,
    bytes: Vec<u8>,
}

impl Whole {
    fn new(kind: Kind, compression: Compression) -> Self {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8));
        let fields = vec![
            Field::new("number", DataType::Int64, true),
            Field::new("city", dictionary.clone(), true),
            Field::new("cities", DataType::List(Field::new("item", dictionary, true).into()), true),
        ];
        let rows = vec![5, 0, 12, 3, 40, 7, 9, 6];
        let plan = Plan { fields, metadata: Metadata::new(), rows, sharing: Sharing::Growing, seed: 3 };
        let batches = Batches::new(plan);
        let dictionaries = DictionaryHandling::Delta;
        let options = Options::builder().compression(compression).dictionaries(dictionaries).build().unwrap();
        let bytes = match kind {
            Kind::Stream => encode::stream(&batches.schema, &batches.batches, &options),
            Kind::File => encode::file(&batches.schema, &batches.batches, &options),
        };
        Self { kind, batches, options, bytes: bytes.unwrap() }
    }

    /// The first batches alone.
    fn first(&self, count: usize) -> Vec<u8> {
        let (schema, batches) = (&self.batches.schema, &self.batches.batches[..count]);
        match self.kind {
            Kind::Stream => encode::stream(schema, batches, &self.options).unwrap(),
            Kind::File => encode::file(schema, batches, &self.options).unwrap(),
        }
    }

    /// Cuts where promised, and returns how often, and every output once, with how many batches it should have.
    fn cut(&self) -> (usize, HashMap<Vec<u8>, usize>) {
        let start = if self.kind == Kind::File { 8 } else { 0 };
        let framing = messages(&self.bytes, start);
        let schema_end = framing.messages[0].end();
        let ends: Vec<_> = framing.record_batches().iter().map(|message| message.end()).collect();
        let last_three = framing.messages[framing.messages.len() - 3].offset;
        let mut random = Random::new(17);
        let elsewhere = (0..1_000).map(|_| random.below(self.bytes.len()));
        let mut outputs = HashMap::new();
        let mut cuts = 0;
        for cut in (last_three..self.bytes.len()).chain(elsewhere) {
            cuts += 1;
            let recovered = recover(&self.bytes[..cut], &RecoverOptions::default());
            if cut < schema_end {
                assert!(matches!(recovered, Err(Error::Hopeless(_))), "cut at {cut}: {recovered:?}");
                continue;
            }
            let (output, report) = recovered.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!((report.condition, report.kept.record_batches), (Condition::Torn, whole as u64), "cut at {cut}");
            assert!(report.cuts.iter().any(|piece| piece.offset + piece.length == cut as u64), "{report:?}");
            outputs.entry(output).or_insert(whole);
        }
        (cuts, outputs)
    }
}

#[test]
fn exactly_the_whole_batches_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (mut cuts, mut pairs) = (0, Vec::new());
    for kind in [Kind::Stream, Kind::File] {
        for compression in [Compression::None, Compression::Lz4] {
            let whole = Whole::new(kind, compression);
            let (tried, outputs) = whole.cut();
            cuts += tried;
            assert_eq!(outputs.len(), whole.batches.batches.len() + 1, "one output for each number of batches");
            for (output, count) in outputs {
                let found = if kind == Kind::File { read::file(&output) } else { read::stream(&output) }.unwrap();
                assert_eq!(found.schema, whole.batches.schema);
                assert_same_batches(&whole.batches.batches[..count], &found.batches);
                let path = |what: &str| folder.path().join(format!("{}-{compression:?}-{count}-{what}", kind.name()));
                let pair = Pair::by_batches(&path("expected"), path("recovered"));
                std::fs::write(&pair.read, whole.first(count)).unwrap();
                std::fs::write(&pair.written, output).unwrap();
                pairs.push(pair);
            }
        }
    }
    let judged = outside::judge(&pairs).map_or(0, |verdicts| {
        for (pair, verdict) in pairs.iter().zip(&verdicts) {
            assert_eq!(verdict, "equal", "{}", pair.written.display());
        }
        verdicts.len()
    });
    println!("{cuts} cuts; {} different outputs, {judged} of them validated by pyarrow", pairs.len());
}
