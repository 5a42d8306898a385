//! Certificates that OpenSSL's command line makes, good ones and bad ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::run::finish;

/// What a client's certificate has unless a test wants otherwise.
pub(crate) const CLIENT: &str = "extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n";

/// An authority in a directory of its own.
pub(crate) struct Authority {
    dir: TempDir,
}

/// A certificate and its key, in files.
pub(crate) struct Issued {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// How a certificate is to be made.
pub(crate) struct Order<'a> {
    /// Such as `/CN=ops-7/OU=ops`.
    pub(crate) subject: &'a str,
    /// Arguments of `openssl req` that make the key.
    pub(crate) key: &'a [&'a str],
    /// Extensions, in the form of OpenSSL's configuration.
    pub(crate) extensions: &'a str,
    /// Further arguments of `openssl x509`.
    pub(crate) more: &'a [&'a str],
}

/// A P-256 key.
pub(crate) const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

impl Order<'_> {
    /// A good one.
    pub(crate) const fn client(subject: &str) -> Order<'_> {
        Order { subject, key: P256, extensions: CLIENT, more: &["-days", "30"] }
    }
}

impl Authority {
    /// One with a self-signed certificate.
    pub(crate) fn new(subject: &str) -> Self {
        let ca = Self { dir: tempfile::tempdir().unwrap() };
        let usage = "keyUsage=critical,keyCertSign,cRLSign";
        let constraints = "basicConstraints=critical,CA:TRUE";
        let mut args = vec!["req", "-x509", "-nodes", "-subj", subject, "-days", "30"];
        args.extend(["-keyout", "ca.key", "-out", "ca.pem"]);
        args.extend(["-addext", constraints, "-addext", usage]);
        args.extend(P256);
        ca.openssl(&args);
        ca
    }

    /// Its certificate, as the API takes it.
    pub(crate) fn text(&self) -> String {
        packed(&self.path("ca.pem"))
    }

    /// Issues a certificate for a new key.
    pub(crate) fn issue(&self, name: &str, order: &Order<'_>) -> Issued {
        let [key, csr] = ["key", "csr"].map(|end| format!("{name}.{end}"));
        let mut args = vec!["req", "-new", "-nodes", "-subj", order.subject];
        args.extend(["-keyout", &key, "-out", &csr]);
        args.extend(order.key);
        self.openssl(&args);
        self.certify(name, &csr, &key, order)
    }

    /// Issues another certificate for the request of an earlier one, under another name.
    pub(crate) fn certify(&self, name: &str, csr: &str, key: &str, order: &Order<'_>) -> Issued {
        let [cert, ext] = ["crt", "ext"].map(|end| format!("{name}.{end}"));
        fs::write(self.path(&ext), order.extensions).unwrap();
        let mut args = vec!["x509", "-req", "-in", csr, "-CA", "ca.pem", "-CAkey", "ca.key"];
        args.extend(["-CAcreateserial", "-extfile", &ext, "-out", &cert]);
        args.extend(order.more);
        self.openssl(&args);
        Issued { cert: self.path(&cert), key: self.path(key) }
    }

    /// Issues a certificate for a new key, good from one time to another, such as
    /// `20200101000000Z`.
    pub(crate) fn issue_dated(
        &self,
        name: &str,
        order: &Order<'_>,
        (from, until): (&str, &str),
    ) -> Issued {
        let undated = self.issue(name, order);
        let config = "[ca]\ndefault_ca=own\n[own]\ndatabase=dated\nnew_certs_dir=.\n\
                      rand_serial=yes\ndefault_md=sha256\nunique_subject=no\npolicy=any\n\
                      [any]\ncommonName=optional\norganizationalUnitName=optional\n";
        fs::write(self.path("dated.config"), config).unwrap();
        fs::write(self.path("dated"), "").unwrap();
        let [csr, ext, cert] = ["csr", "ext", "dated.crt"].map(|end| format!("{name}.{end}"));
        let mut args = vec!["ca", "-batch", "-notext", "-config", "dated.config"];
        args.extend(["-cert", "ca.pem", "-keyfile", "ca.key", "-in", &csr, "-extfile", &ext]);
        args.extend(["-startdate", from, "-enddate", until, "-out", &cert]);
        self.openssl(&args);
        Issued { cert: self.path(&cert), key: undated.key }
    }

    /// A certificate that its own key signed.
    pub(crate) fn self_signed(&self, name: &str, subject: &str) -> Issued {
        let [cert, key] = ["crt", "key"].map(|end| format!("{name}.{end}"));
        let mut args = vec!["req", "-x509", "-nodes", "-subj", subject, "-days", "30"];
        args.extend(["-keyout", &key, "-out", &cert, "-addext", "extendedKeyUsage=clientAuth"]);
        args.extend(P256);
        self.openssl(&args);
        Issued { cert: self.path(&cert), key: self.path(&key) }
    }

    /// A list of what it revoked, good for a day, in DER.
    pub(crate) fn revocations(&self, revoked: &[&Issued]) -> Vec<u8> {
        let config = "[ca]\ndefault_ca=own\n[own]\ndatabase=index\ncrlnumber=number\n\
                      default_md=sha256\ncrl_extensions=list\n[list]\n\
                      authorityKeyIdentifier=keyid:always\n";
        fs::write(self.path("config"), config).unwrap();
        fs::write(self.path("number"), "01\n").unwrap();
        fs::write(self.path("index"), "").unwrap();
        let common = ["ca", "-config", "config", "-cert", "ca.pem", "-keyfile", "ca.key"];
        for one in revoked {
            let cert = one.cert.to_str().unwrap();
            self.openssl(&[&common[..], &["-revoke", cert]].concat());
        }
        self.openssl(&[&common[..], &["-gencrl", "-crldays", "1", "-out", "list.pem"]].concat());
        self.openssl(&["crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der"]);
        fs::read(self.path("list.der")).unwrap()
    }

    /// Runs OpenSSL in the directory; gives what it prints.
    pub(crate) fn openssl(&self, args: &[&str]) -> String {
        let mut command = Command::new("openssl");
        command.args(args).current_dir(self.dir.path()).env("RANDFILE", self.path("rnd"));
        finish(&mut command, b"").expect(0).out
    }

    /// A file of the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Issued {
    /// The certificate, as the API takes it.
    pub(crate) fn text(&self) -> String {
        packed(&self.cert)
    }

    /// The key, as the API takes it.
    pub(crate) fn key_text(&self) -> String {
        packed(&self.key)
    }

    /// What OpenSSL signs `message` (in base64) to, with SHA-256, in base64.
    pub(crate) fn sign(&self, message: &str) -> String {
        STANDARD.encode(sign(&self.key, &STANDARD.decode(message).unwrap()))
    }

    /// The serial number in hex.
    pub(crate) fn serial(&self) -> String {
        let mut command = Command::new("openssl");
        command.args(["x509", "-noout", "-serial", "-in"]).arg(&self.cert);
        let out = finish(&mut command, b"").expect(0).out;
        out.trim().strip_prefix("serial=").unwrap().to_owned()
    }
}

/// Writes an RSA key of 2,048 bits.
pub(crate) fn rsa_key(file: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"]);
    finish(openssl.arg(file), b"").expect(0);
}

/// What the key in a file signs `message` to, with SHA-256.
pub(crate) fn sign(key: &Path, message: &[u8]) -> Vec<u8> {
    let mut openssl = Command::new("sh");
    openssl.args(["-c", "openssl dgst -sha256 -sign \"$0\" | base64 -w0"]).arg(key);
    STANDARD.decode(finish(&mut openssl, message).expect(0).out).unwrap()
}

fn packed(file: &Path) -> String {
    STANDARD.encode(fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}
