//! Bounds on what one compilation may take, so that hostile text costs bounded memory and stack.

/// Texts in one compilation, included ones counted each time.
pub const FILES: usize = 8192;
/// Bytes of all texts of one compilation.
pub const TOTAL_BYTES: usize = 64 << 20;
/// Bytes of one text of embedded instances. A list of one-digit numbers takes some 32 times its text in
/// memory, so this bounds what a request can make the server hold to a few megabytes.
pub const EMBEDDED_BYTES: usize = 256 << 10;
/// Depth of `#pragma include`.
pub const INCLUDE_DEPTH: usize = 16;
/// Depth of instances within instances; each level costs stack.
pub const NESTING: usize = 24;
/// Elements of one initialiser, and entries of one list (qualifiers, parameters, features).
pub const LIST: usize = 65_536;
/// Bytes of one string after concatenation and escapes.
pub const STRING_BYTES: usize = 1 << 20;
/// Classes between a class and its root.
pub const INHERITANCE: usize = 64;
/// Errors kept before the compiler gives up.
pub const ERRORS: usize = 64;
