//! The stages of the loop, in loop order (which is alphabetical order too).

use crate::words::words;

words! {
    /// A stage of the closed loop; the folder of the same name in `crates/loop` holds its rules.
    pub enum Stage: "stage" {
        /// Firmware bytes become a component list.
        Analyse = "analyse",
        /// Components and advisories become cases with deadlines.
        Assess = "assess",
        /// Two images become a patch.
        Delta = "delta",
        /// A release is proven on virtual devices.
        Lab = "lab",
        /// A release reaches the fleet in phases.
        Rollout = "rollout",
        /// A device that cannot be patched is isolated and virtually patched.
        Shield = "shield",
        /// Network logs and health reports become alerts.
        Watch = "watch",
    }
}

#[cfg(test)]
mod tests {
    use super::Stage;

    #[test]
    fn loop_order_is_alphabetical_order() {
        let words: Vec<&str> = Stage::ALL.iter().map(|stage| stage.word()).collect();
        assert!(words.is_sorted());
        assert_eq!("lab".parse(), Ok(Stage::Lab));
    }
}
