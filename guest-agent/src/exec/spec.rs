//! SPEC: what to run, checked.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};

pub const DEFAULT_SPOOL_BYTES: usize = 1 << 20;
const MIN_SPOOL_BYTES: usize = 64 << 10;
const MAX_SPOOL_BYTES: usize = 16 << 20;
pub const DEFAULT_KILL_GRACE_MS: u64 = 2000;
const MAX_ID_BYTES: usize = 64;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct TtySize {
    pub cols: u16,
    pub rows: u16,
}

/// What happens to output while nobody follows and the spool is full.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Detach {
    #[default]
    Drop,
    Block,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    pub id: Option<String>,
    pub argv: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    pub cwd: Option<String>,
    pub user: Option<String>,
    pub timeout_ms: Option<u64>,
    pub kill_grace_ms: Option<u64>,
    pub tty: Option<TtySize>,
    #[serde(default)]
    pub stdin: bool,
    pub spool_bytes: Option<u64>,
    #[serde(default)]
    pub detach: Detach,
}

impl Spec {
    /// All but the command as it is by default.
    pub fn of(argv: Vec<String>) -> Spec {
        Spec {
            id: None,
            argv,
            env: BTreeMap::new(),
            cwd: None,
            user: None,
            timeout_ms: None,
            kill_grace_ms: None,
            tty: None,
            stdin: false,
            spool_bytes: None,
            detach: Detach::default(),
        }
    }

    pub fn parse(payload: &[u8]) -> Result<Spec> {
        let spec: Spec = serde_json::from_slice(payload)
            .map_err(|error| Error::invalid(format!("SPEC: {error}")))?;
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<()> {
        if self.argv.first().is_none_or(String::is_empty) {
            return Err(Error::invalid("argv is empty"));
        }
        let texts = self.argv.iter().chain(self.env.values()).chain(&self.cwd);
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Err(Error::invalid("argv, env and cwd cannot hold NUL"));
        }
        check_env_names(self.env.keys())?;
        if self.cwd.as_ref().is_some_and(|cwd| !cwd.starts_with('/')) {
            return Err(Error::invalid("cwd is not absolute"));
        }
        if self.id.as_ref().is_some_and(|id| !is_exec_id(id)) {
            return Err(Error::invalid("id does not match [A-Za-z0-9_-]{1,64}"));
        }
        Ok(())
    }

    /// Values out of the range are moved to its nearer end.
    pub fn spool_bytes(&self) -> usize {
        let wanted = self
            .spool_bytes
            .and_then(|bytes| usize::try_from(bytes).ok());
        wanted
            .unwrap_or(DEFAULT_SPOOL_BYTES)
            .clamp(MIN_SPOOL_BYTES, MAX_SPOOL_BYTES)
    }

    pub fn kill_grace_ms(&self) -> u64 {
        self.kill_grace_ms.unwrap_or(DEFAULT_KILL_GRACE_MS)
    }
}

pub fn check_env_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<()> {
    for name in names {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::invalid(format!("{name:?} cannot name a variable")));
        }
    }
    Ok(())
}

pub fn is_exec_id(id: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use proptest::prelude::*;

    #[test]
    fn missing_keys_take_their_defaults_and_unknown_ones_are_ignored() {
        let spec = Spec::parse(br#"{"argv":["true"],"fromTheFuture":[1]}"#).unwrap();
        assert_eq!(spec.spool_bytes(), DEFAULT_SPOOL_BYTES);
        assert_eq!(spec.kill_grace_ms(), DEFAULT_KILL_GRACE_MS);
        assert_eq!(spec.detach, Detach::Drop);
        assert!(!spec.stdin);
    }

    #[test]
    fn bad_specs_are_invalid_arguments() {
        for text in [
            r#"{}"#,
            r#"{"argv":[]}"#,
            r#"{"argv":[""]}"#,
            r#"{"argv":["a\u0000b"]}"#,
            r#"{"argv":["a"],"env":{"A=B":"1"}}"#,
            r#"{"argv":["a"],"env":{"":"1"}}"#,
            r#"{"argv":["a"],"cwd":"tmp"}"#,
            r#"{"argv":["a"],"id":"a b"}"#,
            r#"{"argv":["a"],"id":""}"#,
            r#"{"argv":["a"],"tty":{"cols":-1,"rows":2}}"#,
            r#"{"argv":["a"],"detach":"perhaps"}"#,
            "not JSON",
        ] {
            let error = Spec::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.code, Code::InvalidArgument, "{text}");
        }
    }

    #[test]
    fn spool_sizes_stay_in_their_range() {
        for (given, used) in [("1", MIN_SPOOL_BYTES), ("99999999999", MAX_SPOOL_BYTES)] {
            let text = format!(r#"{{"argv":["a"],"spoolBytes":{given}}}"#);
            assert_eq!(Spec::parse(text.as_bytes()).unwrap().spool_bytes(), used);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_spec_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Spec::parse(&bytes);
        }

        #[test]
        fn any_argv_without_nul_is_kept(argv in proptest::collection::vec("[^\0]{1,20}", 1..5)) {
            let text = serde_json::json!({ "argv": argv }).to_string();
            prop_assert_eq!(Spec::parse(text.as_bytes()).unwrap().argv, argv);
        }
    }
}
