//! Certificates that the guest's programs trust besides their system's: what opens their TLS on the host shows one of these.

use std::fs;
use std::path::Path;

use base64::prelude::*;

use crate::error::{Context, Error, Result};
use crate::keystore;

const MAX_BYTES: usize = 64 << 10;
/// A system's own bundle is some 200 KiB.
const MAX_BUNDLE_BYTES: u64 = 8 << 20;
const FOLDER: &str = "/run/firebreak";
/// Of OpenSSL and what goes by it, where distributions have it. Debian's is made where there is none.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// Where update-ca-certificates(8) finds it, so that it is not lost when packages change the bundle.
const LOCAL: &str = "/usr/local/share/ca-certificates/firebreak.crt";
/// What stands between the two in a bundle is ours; around it is what others have put there.
const MARKER: &str = "# Added by firebreak for this VM.\n";
const END_MARKER: &str = "# End of what firebreak added.\n";
const BEGIN_PEM: &str = "-----BEGIN CERTIFICATE-----";
const END_PEM: &str = "-----END CERTIFICATE-----";

pub fn check(pem: &str) -> Result<()> {
    let is_good = pem.len() <= MAX_BYTES
        && pem.is_ascii()
        && pem.contains(BEGIN_PEM)
        && !pem.contains("PRIVATE KEY");
    if is_good {
        return Ok(());
    }
    Err(Error::invalid("trust is no certificate in PEM"))
}

/// Repeating it does no harm.
pub fn install(pem: &str) -> Result<()> {
    fs::create_dir_all(FOLDER).context(FOLDER)?;
    write(&format!("{FOLDER}/ca.pem"), pem)?;
    let system = BUNDLES.iter().find_map(|path| read_bundle(path));
    let bundle = with_ours(system.as_deref().unwrap_or(""), pem);
    write(&format!("{FOLDER}/ca-bundle.pem"), &bundle)?;
    // Of all that there are, since it takes the place of what Java brings along.
    let decoded: Vec<Vec<u8>> = certificates(&bundle).filter_map(decode).collect();
    write(
        &format!("{FOLDER}/ca-bundle.jks"),
        keystore::write(&decoded),
    )?;
    for (index, path) in BUNDLES.iter().enumerate() {
        match read_bundle(path) {
            Some(theirs) => write(path, with_ours(&theirs, pem))?,
            // One that is there and cannot be read is not for us to replace.
            None if index == 0 && fs::symlink_metadata(path).is_err() => write(path, &bundle)?,
            None => {}
        }
    }
    write(LOCAL, pem)
}

/// Without what was added to it before.
fn read_bundle(path: &str) -> Option<String> {
    if fs::metadata(path).ok()?.len() > MAX_BUNDLE_BYTES {
        return None;
    }
    Some(without_ours(fs::read_to_string(path).ok()?))
}

fn without_ours(mut text: String) -> String {
    while let Some(at) = text.find(MARKER) {
        let rest = text[at..].find(END_MARKER);
        text.replace_range(
            at..rest.map_or(text.len(), |end| at + end + END_MARKER.len()),
            "",
        );
    }
    text
}

/// Those of ours that are not in it: update-ca-certificates(8) makes the bundle of what is at LOCAL, too.
fn with_ours(system: &str, pem: &str) -> String {
    let there: Vec<&str> = certificates(system).collect();
    let missing: Vec<&str> = certificates(pem)
        .filter(|ours| !there.contains(ours))
        .collect();
    if missing.is_empty() {
        return system.to_owned();
    }
    let gap = if system.is_empty() || system.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let ours = missing.join("\n");
    format!("{system}{gap}{MARKER}{ours}\n{END_MARKER}")
}

fn certificates(pem: &str) -> impl Iterator<Item = &str> {
    pem.split_inclusive(END_PEM).filter_map(|text| {
        let at = text.find(BEGIN_PEM)?;
        text.ends_with(END_PEM).then(|| &text[at..])
    })
}

/// What is no certificate would keep Java from reading any.
fn decode(pem: &str) -> Option<Vec<u8>> {
    let body = pem.strip_prefix(BEGIN_PEM)?.strip_suffix(END_PEM)?;
    let text: String = body.split_ascii_whitespace().collect();
    let der = BASE64_STANDARD.decode(text).ok()?;
    // A sequence of two bytes' length, to its end.
    let length = match der.as_slice() {
        [0x30, 0x82, high, low, ..] => usize::from(*high) << 8 | usize::from(*low),
        _ => return None,
    };
    (der.len() == length + 4).then_some(der)
}

/// In one step, and only where it says something else: each change is a copy on the guest's disk.
fn write(path: &str, content: impl AsRef<[u8]>) -> Result<()> {
    let content = content.as_ref();
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    // What a link leads to is changed, as a program that opens it would see.
    let real = fs::canonicalize(path).unwrap_or_else(|_| Path::new(path).to_owned());
    if let Some(folder) = real.parent() {
        fs::create_dir_all(folder).context(folder.display())?;
    }
    let fresh = real.with_extension("firebreak-new");
    fs::write(&fresh, content).context(path)?;
    fs::rename(&fresh, &real).context(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_taken() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(check(pem).is_ok());
        for bad in [
            "",
            "x",
            &pem.replace("CERTIFICATE", "EC PRIVATE KEY"),
            &pem.repeat(2000),
        ] {
            assert!(check(bad).is_err());
        }
    }

    fn certificate(body: &str) -> String {
        format!("{BEGIN_PEM}\n{body}\n{END_PEM}\n")
    }

    #[test]
    fn what_is_no_certificate_is_not_in_javas_key_store() {
        let der = [&[0x30, 0x82, 1, 0][..], &[7; 256]].concat();
        let text = BASE64_STANDARD.encode(&der);
        let (first, rest) = text.split_at(64);
        let pem = certificate(&format!("{first}\r\n{rest}"));
        assert_eq!(decode(pem.trim_end()), Some(der.clone()));
        for bad in ["", "!", &text[..text.len() - 4], "MAA="] {
            assert_eq!(decode(certificate(bad).trim_end()), None, "{bad}");
        }
    }

    #[test]
    fn ours_is_behind_theirs() {
        let ours = certificate("AAAA");
        let added = format!("{MARKER}{ours}{END_MARKER}");
        assert_eq!(with_ours("a", &ours), format!("a\n{added}"));
        assert_eq!(with_ours("", ours.trim_end()), added);
    }

    #[test]
    fn what_others_put_behind_ours_stays() {
        let (theirs, ours) = (certificate("BBBB"), certificate("AAAA"));
        let bundle = format!("{}# mine\n{theirs}", with_ours("a\n", &ours));
        assert_eq!(without_ours(bundle), format!("a\n# mine\n{theirs}"));
    }

    #[test]
    fn of_what_was_added_without_an_end_all_is_ours() {
        assert_eq!(
            without_ours(format!("a\n{MARKER}{}", certificate("A"))),
            "a\n"
        );
    }

    #[test]
    fn what_the_system_has_is_not_added_again() {
        let (one, two) = (certificate("AAAA"), certificate("BBBB"));
        let system = format!("{}{one}", certificate("CCCC"));
        assert_eq!(with_ours(&system, &one), system);
        let both = with_ours(&system, &format!("{one}{two}"));
        assert_eq!(both, format!("{system}{MARKER}{two}{END_MARKER}"));
        assert_eq!(without_ours(both), system);
    }
}
