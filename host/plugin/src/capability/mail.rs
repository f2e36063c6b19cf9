//! Mails, queued when the step commits.

use base64::Engine as _;
use hookwright_model::{Kind, Letter, MailAttachment};
use wasmtime::component::HasSelf;

use super::definition::{Capability, Host, Link};
use crate::state::State;
use crate::v0_1_0::{mail, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "mail",
    kinds: &[Kind::Action],
    links: &[Link { version: "0.1.0", add: |linker| mail::add_to_linker::<_, HasSelf<State>>(linker, |state| state) }],
};

impl mail::Host for State {
    fn send(&mut self, letter: mail::Letter) -> Host<String, types::Failure> {
        self.host_call()?;
        let mail::Letter { to, subject, text, html, headers, attachments } = letter;
        let attachments = attachments.into_iter().map(|file| MailAttachment {
            name: file.name,
            content_type: file.content_type,
            content: base64::engine::general_purpose::STANDARD.encode(file.content),
        });
        let letter = Letter { to, subject, text, html, headers, attachments: attachments.collect() };
        Ok(self.changing(&CAPABILITY).and_then(|bench| bench.send_mail(letter)).map_err(Into::into))
    }
}
