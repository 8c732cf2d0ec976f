//! The server: device protocol, REST, background workers, one turn of the loop.
