//! Other arguments for a merge whose dictionaries were refused, and how to say what to change.

use clap::ValueEnum;
use ipc_recover::Kind;

use crate::args::{DictionariesArgument, FormatArgument, Job, MergeArguments};

impl Job {
    /// Whether short keys of dictionaries are made longer.
    pub(crate) fn widens_keys(&self) -> bool {
        self.arguments.widen_dictionary_keys
    }

    /// The same job with its dictionaries written in other ways, and what to change in the arguments for each: the best
    /// first. The last one takes whatever dictionaries the inputs have.
    pub(crate) fn alternatives(&self) -> Vec<(String, Self)> {
        use DictionariesArgument::{Resend, Unify};
        let (now, is_file) = (&self.arguments, self.format == Kind::File);
        let (at_close, widen) = (now.dictionaries_at_close, now.widen_dictionary_keys);
        let ways = [
            (true, Some(Unify), at_close, widen),
            (true, Some(Unify), true, widen),
            (true, Some(Unify), at_close, true),
            (true, Some(Unify), true, true),
            (false, now.dictionaries, false, widen),
            (false, Some(Unify), false, true),
            (false, Some(Resend), false, false),
        ];
        let ways = ways.into_iter().filter(|(needs_file, ..)| is_file || !needs_file);
        let other = |(stays_file, dictionaries, at_close, widen): (bool, _, _, _)| MergeArguments {
            format: if stays_file { now.format } else { Some(FormatArgument::Stream) },
            dictionaries,
            dictionaries_at_close: at_close,
            widen_dictionary_keys: widen,
            ..now.clone()
        };
        ways.map(other).filter_map(|other| Some((other.changes_of(self), other.resolve().ok()?))).collect()
    }
}

impl MergeArguments {
    /// The switches about dictionaries to add to those of `job`, and to leave out.
    fn changes_of(&self, job: &Job) -> String {
        let now = &job.arguments;
        let (mut added, mut left_out) = (Vec::new(), Vec::new());
        if self.format == Some(FormatArgument::Stream) && job.format == Kind::File {
            added.push("--format stream".to_owned());
        }
        let flags = [
            ("--dictionaries-at-close", now.dictionaries_at_close, self.dictionaries_at_close),
            ("--widen-dictionary-keys", now.widen_dictionary_keys, self.widen_dictionary_keys),
        ];
        for (flag, was, is) in flags {
            match (was, is) {
                (false, true) => added.push(flag.to_owned()),
                (true, false) => left_out.push(flag),
                _ => {}
            }
        }
        // Both flags unify, and a stream resends, unless something else is said.
        let implied = match (self.dictionaries_at_close || self.widen_dictionary_keys, self.format) {
            (true, _) => Some(DictionariesArgument::Unify),
            (false, Some(FormatArgument::Stream)) => Some(DictionariesArgument::Resend),
            _ => None,
        };
        let is_implied = now.dictionaries.is_none() && self.dictionaries == implied;
        if let Some(how) = self.dictionaries.filter(|how| now.dictionaries != Some(*how) && !is_implied) {
            let name = how.to_possible_value().expect("none is skipped");
            added.push(format!("--dictionaries {}", name.get_name()));
        }
        let told = [("use", added.join(" ")), ("leave out", left_out.join(" "))];
        let told = told.into_iter().filter(|(_, switches)| !switches.is_empty());
        told.map(|(verb, switches)| format!("{verb} {switches}")).collect::<Vec<_>>().join(" and ")
    }
}
