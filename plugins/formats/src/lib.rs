//! A library of formats that several plugins read.

pub mod multipart;
pub mod xml;

mod media_type;

pub use media_type::MediaType;
