//! Network logs and a baseline to alerts.
