//! `recover --confirmed` keeps what a sync had confirmed, and with `--confirmed-only` nothing else.

use std::fs;

use ipc_core::{Encoder, FileTail};

use crate::support::{batch, folder, run, text};

#[test]
fn what_a_sync_confirmed_is_kept_whatever_stands_behind_it() {
    let folder = folder();
    let (torn, fixed) = (folder.path().join("torn.arrow"), folder.path().join("fixed.arrow"));
    let mut encoder = Encoder::file(FileTail::at(&torn).unwrap()).start(batch(0, 1).schema()).unwrap();
    encoder.write(&batch(0, 10)).unwrap();
    let confirmed = encoder.sync().unwrap();
    encoder.write(&batch(1, 10)).unwrap();
    encoder.flush().unwrap();
    encoder.write(&batch(2, 10)).unwrap();
    encoder.close().unwrap();
    let mut bytes = fs::read(&torn).unwrap();
    let start = usize::try_from(confirmed).unwrap();
    bytes[start..start + 64].fill(0xaa);
    fs::write(&torn, bytes).unwrap();

    let position = confirmed.to_string();
    let [input, output] = [&torn, &fixed].map(|path| path.to_str().unwrap());
    let recover = |further: &[&str]| run([&["recover", input, "--output", output], further].concat());
    let refused = recover(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("the input is damaged, not torn at its end"), "{}", text(&refused.stderr));
    // What is whole behind the damage is kept, too, and told to have a hole before it, unless nothing but the confirmed is to be.
    for (further, status, count) in
        [(&["--confirmed", &position][..], 3, 2), (&["--confirmed", &position, "--confirmed-only"], 0, 1)]
    {
        let done = recover(further);
        assert_eq!(done.status.code(), Some(status), "{}", text(&done.stderr));
        let inspected = run(["inspect", "--json", output]);
        let listed: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
        let batches = listed["messages"].as_array().unwrap().iter().filter(|m| m["kind"] == "record_batch").count();
        assert_eq!(batches, count, "{further:?}");
    }
    let inside = (confirmed - 8).to_string();
    let refused = recover(&["--confirmed", &inside]);
    assert!(text(&refused.stderr).contains("so no sync confirmed it"), "{}", text(&refused.stderr));
    assert_eq!(recover(&["--confirmed-only"]).status.code(), Some(2), "confirmed how far?");
}
