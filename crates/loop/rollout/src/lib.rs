//! Fleet state, policy and now to the next steps, each with its reason.
