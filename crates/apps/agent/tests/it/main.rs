//! The agent as people and servers meet it: its command line, and its server side over real mutual TLS on loopback.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod cuts;
#[cfg(test)]
mod image;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod pieces;
#[cfg(test)]
mod served;
