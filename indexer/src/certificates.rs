//! The certificates under a `ca` key: whom a client trusts beside the system's authorities.

use std::path::Path;

use reqwest::Certificate;

/// Reads the certificates of a PEM file.
///
/// Errors: why it can't be read, or that it holds none; whoever named it wants somebody trusted.
pub fn read(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    // An error of reqwest's says no more than "builder error".
    let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        for text in ["", "no certificate", broken] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(read(file.path()).unwrap_err(), "it holds no certificate in PEM", "{text:?}");
        }
        assert!(read(Path::new("/no/such/file")).unwrap_err().contains("No such file"));
    }
}
