//! What is shipped: units, image, chart, compose file.

mod chart;
mod cluster;
mod compose;
mod image;
mod units;
