//! Names without their versions.
//!
//! In: a path. Out: the same path for every version of a file. Refuses nothing.

/// What stands for a version. Not a character of any version, so that a name without one stays apart.
const VERSION: char = '#';

/// Replaces every version by one sign: digits, and what stands between digits (`9.18.49-1~deb12u1` becomes `#~deb#u#`).
pub(super) fn strip(path: &str) -> String {
    let mut stripped = String::with_capacity(path.len());
    // Separators since the last digit: they belong to the version only when a digit follows.
    let mut held = String::new();
    for sign in path.chars() {
        let in_version = stripped.ends_with(VERSION);
        match sign {
            '0'..='9' if in_version => held.clear(),
            '0'..='9' => stripped.push(VERSION),
            '.' | '-' | '~' | '+' | '_' | ':' if in_version => held.push(sign),
            _ => {
                stripped.push_str(&held);
                held.clear();
                stripped.push(sign);
            }
        }
    }
    stripped.push_str(&held);
    stripped
}

/// Returns the last part of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
