//! What travels: device protocol, REST types, filter language, versions.
