//! Encodings that small language runtimes lack, or are slow at.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hookwright_model::Failure;
use wasmtime::component::HasSelf;

use super::definition::{Capability, EVERY_KIND, Host, Link, shown};
use crate::state::State;
use crate::v0_1_0::{encoding, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "encoding",
    kinds: EVERY_KIND,
    links: &[Link {
        version: "0.1.0",
        add: |linker| encoding::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

/// RFC 4648 section 4. Padding is written, and optional in input.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Maximum size of a decompressed body, in bytes.
const MAX_DECODED: usize = 32 * 1024 * 1024;

impl encoding::Host for State {
    fn base64_encode(&mut self, data: Vec<u8>) -> wasmtime::Result<String> {
        self.host_call()?;
        Ok(BASE64.encode(data))
    }

    fn base64_decode(&mut self, text: String) -> Host<Vec<u8>, types::Failure> {
        self.host_call()?;
        Ok(BASE64.decode(text).map_err(|error| invalid("base64", &error)))
    }

    fn hex_encode(&mut self, data: Vec<u8>) -> wasmtime::Result<String> {
        self.host_call()?;
        Ok(hex::encode(data))
    }

    fn hex_decode(&mut self, text: String) -> Host<Vec<u8>, types::Failure> {
        self.host_call()?;
        Ok(hex::decode(text).map_err(|error| invalid("hexadecimal", &error)))
    }

    fn utf8_encode(&mut self, text: String) -> wasmtime::Result<Vec<u8>> {
        self.host_call()?;
        Ok(text.into_bytes())
    }

    fn utf8_decode(&mut self, data: Vec<u8>) -> Host<String, types::Failure> {
        self.host_call()?;
        Ok(String::from_utf8(data).map_err(|error| invalid("UTF-8", &error.utf8_error())))
    }

    fn text_decode(&mut self, charset: String, data: Vec<u8>) -> Host<String, types::Failure> {
        self.host_call()?;
        let Some(known) = encoding_rs::Encoding::for_label(charset.as_bytes()) else {
            let message = format!("`{}` is not a known charset", shown(&charset));
            return Ok(Err(Failure::permanent("encoding.invalid", message).into()));
        };
        match known.decode_without_bom_handling_and_without_replacement(&data) {
            Some(text) => Ok(Ok(text.into_owned())),
            None => Ok(Err(Failure::permanent("encoding.invalid", format!("this is not {}", known.name())).into())),
        }
    }

    fn content_decode(&mut self, coding: String, data: Vec<u8>) -> Host<Vec<u8>, types::Failure> {
        self.host_call()?;
        let decoded = crate::content::decode([coding.as_str()], &data, MAX_DECODED);
        Ok(decoded.map_err(|error| Failure::permanent("encoding.invalid", error.to_string()).into()))
    }
}

fn invalid(encoding: &str, error: &dyn std::fmt::Display) -> types::Failure {
    Failure::permanent("encoding.invalid", format!("this is not {encoding}: {error}")).into()
}
