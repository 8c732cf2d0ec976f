//! Keys, certificates and TLS as a caller sees them: real files, real handshakes.

// `cfg(test)` is always true here; it tells clippy that the helpers are tests too and may unwrap.
#[cfg(test)]
mod authority;
#[cfg(test)]
mod files;
#[cfg(test)]
mod openssl;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod tls;
