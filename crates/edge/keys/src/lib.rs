//! Keys in files, and what is made with them: signatures, certificates, TLS.
//!
//! In: paths, names, `now`. Out: signers, a certificate authority for devices and servers, TLS configurations that
//! follow the rules of the house (TLS 1.3 only, no resumption, `ring`, nothing installed process-wide). Refuses: to
//! overwrite a key, to read one that others may read, to sign for what a device may not have. No clock here either:
//! `now` is an argument; only TLS itself looks at the clock when it checks a peer's certificate.

mod file;
mod key;

pub mod authority;
pub mod device;
pub mod secret;
pub mod signer;
pub mod tls;

pub use authority::{AuthorityError, CertificateAuthority};
pub use device::{CsrError, DeviceKey};
pub use file::KeyFileError;
pub use secret::{NoChance, random_secret};
pub use signer::FileSigner;
pub use tls::{ClientIdentity, DeviceCertificates, ServerIdentity, TlsError, client_config, server_config};
