//! From the traits to the component's exports.
//!
//! The macros are thin: they call [`glue`], which can be tested natively.

/// The functions that the export macros call.
#[doc(hidden)]
pub mod glue {
    use crate::bindings::action::exports::hookwright::plugin::action as wit_action;
    use crate::bindings::condition::exports::hookwright::plugin::condition as wit_condition;
    use crate::bindings::imports::hookwright::plugin::types;
    use crate::bindings::transform::exports::hookwright::plugin::transform as wit_transform;
    use crate::bounded::{REASON, shorten};
    use crate::{
        Action, Condition, Event, Failure, Manifest, Outcome, Plugin, Reception, Request, Source, Transform,
        Transformed, parameters,
    };

    /// Makes a panic log its message and its location before it ends the call.
    #[cfg(target_arch = "wasm32")]
    pub fn explain_panics() {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|info| {
                let payload = info.payload();
                let text = payload.downcast_ref::<&str>().copied();
                let text =
                    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
                let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
                crate::log::error(&format!("panicked{}: {text}", place.unwrap_or_default()), &[]);
            }));
        });
    }

    /// The manifest as the host reads it.
    #[must_use]
    pub fn manifest(manifest: &Manifest) -> types::Manifest {
        types::Manifest {
            name: manifest.name.to_owned(),
            version: manifest.version.to_owned(),
            summary: manifest.summary.to_owned(),
            parameters: manifest.parameters.to_owned(),
            hints: manifest.hints.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    /// A condition's call.
    ///
    /// # Errors
    /// The plugin's own, or parameters that cannot be read.
    pub fn evaluate<T: Condition>(event: types::Event, text: &str) -> Result<wit_condition::Verdict, Failure> {
        let parameters = parameters::parse::<<T as Plugin>::Parameters>(text)?;
        let verdict = T::evaluate(&Event::from(event), parameters)?;
        Ok(wit_condition::Verdict { holds: verdict.holds, reason: shorten(&verdict.reason, REASON) })
    }

    /// An action's call.
    ///
    /// # Errors
    /// The plugin's own, or parameters that cannot be read.
    pub fn run<T: Action>(event: types::Event, text: &str) -> Result<wit_action::Outcome, Failure> {
        let parameters = parameters::parse::<<T as Plugin>::Parameters>(text)?;
        Ok(match T::run(&Event::from(event), parameters)? {
            Outcome::Done(json) => wit_action::Outcome::Done(json),
            Outcome::Skipped(reason) => wit_action::Outcome::Skipped(shorten(&reason, REASON)),
        })
    }

    /// A transform's call.
    ///
    /// # Errors
    /// The plugin's own, or parameters that cannot be read.
    pub fn apply<T: Transform>(
        event: types::Event,
        message: wit_transform::Message,
        text: &str,
    ) -> Result<wit_transform::Verdict, Failure> {
        let parameters = parameters::parse::<<T as Plugin>::Parameters>(text)?;
        Ok(match T::apply(&Event::from(event), message.into(), parameters)? {
            Transformed::Send(message) => wit_transform::Verdict::Send(message.into()),
            Transformed::Drop(reason) => wit_transform::Verdict::Drop(shorten(&reason, REASON)),
        })
    }

    /// A source's call.
    ///
    /// # Errors
    /// The plugin's own, or parameters that cannot be read.
    pub fn receive<T: Source>(request: &Request, text: &str) -> Result<Reception, Failure> {
        T::receive(request, parameters::parse::<<T as Plugin>::Parameters>(text)?)
    }
}

/// Makes a type that implements [`Condition`](crate::Condition) the component's export.
#[macro_export]
macro_rules! export_condition {
    ($plugin:ty) => {
        $crate::__export!(condition, evaluate, $plugin {
            fn evaluate(
                event: $crate::bindings::imports::hookwright::plugin::types::Event,
                parameters: ::std::string::String,
            ) -> ::std::result::Result<$crate::bindings::condition::exports::hookwright::plugin::condition::Verdict, $crate::Failure> {
                $crate::glue::explain_panics();
                $crate::glue::evaluate::<$plugin>(event, &parameters)
            }
        });
    };
}

/// Makes a type that implements [`Action`](crate::Action) the component's export.
#[macro_export]
macro_rules! export_action {
    ($plugin:ty) => {
        $crate::__export!(action, run, $plugin {
            fn run(
                event: $crate::bindings::imports::hookwright::plugin::types::Event,
                parameters: ::std::string::String,
            ) -> ::std::result::Result<$crate::bindings::action::exports::hookwright::plugin::action::Outcome, $crate::Failure> {
                $crate::glue::explain_panics();
                $crate::glue::run::<$plugin>(event, &parameters)
            }
        });
    };
}

/// Makes a type that implements [`Transform`](crate::Transform) the component's export.
#[macro_export]
macro_rules! export_transform {
    ($plugin:ty) => {
        $crate::__export!(transform, apply, $plugin {
            fn apply(
                event: $crate::bindings::imports::hookwright::plugin::types::Event,
                message: $crate::bindings::transform::exports::hookwright::plugin::transform::Message,
                parameters: ::std::string::String,
            ) -> ::std::result::Result<$crate::bindings::transform::exports::hookwright::plugin::transform::Verdict, $crate::Failure> {
                $crate::glue::explain_panics();
                $crate::glue::apply::<$plugin>(event, message, &parameters)
            }
        });
    };
}

/// Makes a type that implements [`Source`](crate::Source) the component's export.
#[macro_export]
macro_rules! export_source {
    ($plugin:ty) => {
        $crate::__export!(source, receive, $plugin {
            fn receive(request: $crate::Request, parameters: ::std::string::String) -> ::std::result::Result<$crate::Reception, $crate::Failure> {
                $crate::glue::explain_panics();
                $crate::glue::receive::<$plugin>(&request, &parameters)
            }
        });
    };
}

/// What the four export macros have in common. Natively it exports nothing, so that tests link.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($kind:ident, $call:ident, $plugin:ty { $($function:tt)* }) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[doc(hidden)]
            struct Exported;

            impl $crate::bindings::metadata::exports::hookwright::plugin::metadata::Guest for Exported {
                fn describe() -> $crate::bindings::imports::hookwright::plugin::types::Manifest {
                    $crate::glue::explain_panics();
                    $crate::glue::manifest(&<$plugin as $crate::Plugin>::MANIFEST)
                }
            }

            impl $crate::bindings::$kind::exports::hookwright::plugin::$kind::Guest for Exported {
                $($function)*
            }

            $crate::bindings::metadata::export!(Exported with_types_in $crate::bindings::metadata);
            $crate::bindings::$kind::export!(Exported with_types_in $crate::bindings::$kind);
        };

        // The plugin counts as used, so that a native check finds no dead code in it.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            let _ = $crate::glue::$call::<$plugin>;
            let _ = <$plugin as $crate::Plugin>::MANIFEST;
        };
    };
}
