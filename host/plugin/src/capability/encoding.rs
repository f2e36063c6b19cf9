//! What small language runtimes lack, or do slowly.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hookwright_model::Failure;
use wasmtime::component::HasSelf;

use super::{Capability, EVERY_KIND, Host, Link};
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

/// RFC 4648 section 4; padding is written, and may be missing where it is read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
}

fn invalid(encoding: &str, error: &dyn std::fmt::Display) -> types::Failure {
    Failure::permanent("encoding.invalid", format!("this is not {encoding}: {error}")).into()
}
