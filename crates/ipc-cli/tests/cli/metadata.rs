//! The metadata in the footer of an only input is carried over to a file; where it cannot be, a line says so.

use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;

use crate::support::{batch, folder, merge, merge_well, put, text};

#[test]
fn the_footer_keeps_its_metadata() {
    let folder = folder();
    let batch = batch(1, 3);
    let mut writer = FileWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    writer.write(&batch).unwrap();
    writer.write_metadata("origin", "station 7");
    let input = put(&folder, "in.arrow", &writer.into_inner().unwrap());

    let output = folder.path().join("out.arrow");
    merge_well(&[&input], &output, &[]);
    let reader = FileReader::try_new(std::fs::File::open(&output).unwrap(), None).unwrap();
    assert_eq!(reader.custom_metadata()["origin"], "station 7");

    let stream = merge(&[&input], &folder.path().join("out.arrows"), &[]);
    assert!(stream.status.success());
    assert!(text(&stream.stderr).contains("1 key-value pairs in its footer are lost"), "{}", text(&stream.stderr));
}
