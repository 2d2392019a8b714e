//! The server over requests as clients send them.
