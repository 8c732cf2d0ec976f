//! SQLite and artifacts on disk: the only place that knows how state is kept.
