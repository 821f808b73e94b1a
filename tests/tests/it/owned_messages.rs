//! An owned message has the bytes of the borrowed one, and so have its buffers: what is kept, or goes to an object store,
//! is what would have been written.
//!
//! Fails where a segment is lost, cut or put in another place when a message is made owned, or when it is taken apart.

use arrow_buffer::Buffer;
use arrow_schema::Metadata;
use ipc_core::parts::BatchEncoder;
use ipc_core::{Alignment, Compression, Options};
use ipc_tests::arrays::Sharing::Shared;
use ipc_tests::batches::{Batches, Plan, every_kind};

#[test]
fn owned_messages_and_their_buffers_are_the_borrowed_bytes() {
    let plan =
        Plan { fields: every_kind(), metadata: Metadata::new(), rows: vec![200, 0, 3], sharing: Shared, seed: 9 };
    let Batches { batches, .. } = Batches::new(plan);
    for compression in [Compression::None, Compression::Lz4] {
        for alignment in [Alignment::A8, Alignment::A64] {
            let options = Options::builder().compression(compression).alignment(alignment).build().unwrap();
            let mut encoder = BatchEncoder::new(&options);
            for batch in &batches {
                let message = encoder.encode(batch).unwrap();
                let borrowed = message.slices().collect::<Vec<_>>().concat();
                assert_eq!(message.length(), borrowed.len() as u64);
                assert_eq!(message.metadata_length() + message.body_length(), message.length());

                let owned = message.into_owned();
                assert!(owned.slices().collect::<Vec<_>>().concat() == borrowed);
                let buffers = owned.into_buffers();
                assert!(buffers.iter().map(Buffer::as_slice).collect::<Vec<_>>().concat() == borrowed);
            }
        }
    }
}

#[test]
fn an_owned_message_gives_back_memory_that_the_next_is_made_in() {
    let plan = Plan { fields: every_kind(), metadata: Metadata::new(), rows: vec![50, 20], sharing: Shared, seed: 9 };
    let Batches { batches, .. } = Batches::new(plan);
    let mut encoder = BatchEncoder::new(&Options::default());
    let bytes = |encoder: &mut BatchEncoder, batch| {
        let owned = encoder.encode(batch).unwrap().into_owned();
        let bytes = owned.slices().collect::<Vec<_>>().concat();
        encoder.recycle_owned(owned);
        bytes
    };
    let fresh = bytes(&mut BatchEncoder::new(&Options::default()), &batches[1]);
    bytes(&mut encoder, &batches[0]);
    assert!(bytes(&mut encoder, &batches[1]) == fresh);
}
