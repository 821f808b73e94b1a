//! A second header, a batch before the header, a batch behind the end, an end before the header, and an encoder used
//! after the step that consumed it do not compile. Neither does a rollback or a sync of a sink that cannot do it, and the
//! compiler names one that can: `FileTail`.
//!
//! Fails where a state gets a call that is not right in it, or a step stops consuming. Each case has a twin in
//! `compile_pass/` that differs by the offending line alone and compiles, so that a case cannot fail for another
//! reason. What the compiler says is compared with the `.stderr` beside the case; `TRYBUILD=overwrite` renews those
//! where a compiler words it otherwise.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

mod compile_pass;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn wrong_orders_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

/// The lines of a source file that are not told apart by their indentation.
fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn each_case_differs_from_its_twin_by_the_offending_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let names = |folder: &Path| -> BTreeSet<_> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("mod.rs"))
            .map(|p| p.file_name().unwrap().to_owned())
            .collect()
    };
    let (failing, passing) = (folder.join("compile_fail"), folder.join("compile_pass"));
    assert_eq!(names(&failing), names(&passing));
    // The compiler has seen each twin that is a module of this program.
    let modules = lines(&passing.join("mod.rs"));
    for name in names(&failing) {
        let (mut wrong, right) = (lines(&failing.join(&name)), lines(&passing.join(&name)));
        let offending: Vec<_> = wrong.iter().filter(|line| line.ends_with("// offends")).cloned().collect();
        assert_eq!(offending.len(), 1, "{}", name.display());
        wrong.retain(|line| !line.ends_with("// offends"));
        assert_eq!(wrong, right, "{}", name.display());
        let module = format!("mod {};", Path::new(&name).file_stem().unwrap().display());
        assert!(modules.contains(&module), "compile_pass/mod.rs lacks `{module}`");
    }
}
