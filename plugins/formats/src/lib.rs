//! Formats that several plugins read. No plugin itself: a library that is linked into those.

pub mod multipart;
pub mod xml;

mod media_type;

pub use media_type::MediaType;
