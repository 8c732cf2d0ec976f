//! A fleet simulator: virtual clock, network and flash, with seeds.
