//! Devices and weaknesses to firewall and intrusion-prevention rules.
