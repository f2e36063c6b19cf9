//! Calls in the shadow: what the version in use was just called with, and what the host answered it, is given to the
//! candidate as well, behind the back of the call that counts.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use hookwright_model::{Event, RolloutMode, SpaceId};
use hookwright_plugin::Access;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::{Active, TOLD, Work};
use crate::calling::Occasion;
use crate::parking::{Callable, Role};
use crate::replay::{Compared, Recording, compared};
use crate::{Pipeline, PipelineError};

/// How many calls are made in the shadow at a time, of all plugins.
pub(super) const AT_ONCE: usize = 2;
/// For how long what a version may do is believed to be as it was.
const KNOWN: Duration = Duration::from_secs(1);

/// Leave to call a version in the shadow of a call.
pub(crate) struct Shadow {
    active: Arc<Active>,
    place: OwnedSemaphorePermit,
}

/// A call that is to be made in the shadow.
pub(super) struct ShadowCall {
    active: Arc<Active>,
    event: Event,
    recording: Recording,
    live: Value,
    place: OwnedSemaphorePermit,
}

impl Pipeline {
    /// Leave to call a version in the shadow of this call, if there is one and too many do not wait already.
    pub(crate) fn shadow_of(&self, callable: &Callable, occasion: &Occasion<'_>) -> Option<Shadow> {
        if !matches!(callable.role, Role::Live) {
            return None;
        }
        let active = self.rollouts.find(occasion.space, &callable.access.plugin)?;
        if !active.is(RolloutMode::Shadow) || !active.rollout.takes(&occasion.event.id) {
            return None;
        }
        if let Ok(place) = Arc::clone(&active.slots).try_acquire_owned() {
            return Some(Shadow { active, place });
        }
        let mut told = active.told();
        told.dropped = told.dropped.saturating_add(1);
        None
    }

    /// Has a version called in the shadow of a call that has ended.
    pub(crate) fn call_in_shadow(&self, shadow: Shadow, occasion: &Occasion<'_>, recording: Recording, live: Value) {
        let Shadow { active, place } = shadow;
        let event = occasion.event.clone();
        self.rollouts.push(Work::Shadow(Box::new(ShadowCall { active, event, recording, live, place })));
    }

    pub(super) async fn shadow_call(&self, call: ShadowCall) {
        let ShadowCall { active, event, recording, live, place } = call;
        let access = match self.shadow_access(&active) {
            Ok(access) => access,
            Err(error) => {
                tracing::warn!(%error, plugin = active.name, "what it may do in the shadow cannot be read");
                return;
            }
        };
        let candidate = self.rerun(&active.space, &active.plugin, &access, &event, &recording).await;
        let came_out = match candidate {
            Some(candidate) => compared(&recording, &live, &candidate.came_to, false),
            None => Compared::Not("the host answered more than is kept of one call"),
        };
        drop(place);
        let mut told = active.told();
        told.shadow.calls = told.shadow.calls.saturating_add(1);
        match came_out {
            Compared::Same => told.shadow.same = told.shadow.same.saturating_add(1),
            Compared::Not(_) => told.shadow.not_comparable = told.shadow.not_comparable.saturating_add(1),
            Compared::Different(difference) => {
                let shadow = &mut told.shadow;
                let count = if difference.failed { &mut shadow.failed } else { &mut shadow.different };
                *count = count.saturating_add(1);
                told.differences.push_front(difference);
                told.differences.truncate(TOLD);
            }
        }
    }

    /// What the version may do in the shadow: the same as in use, with places and counts of its own.
    fn shadow_access(&self, active: &Active) -> Result<Arc<Access>, PipelineError> {
        let mut known = active.access.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, access)) = known.as_ref()
            && since.elapsed() < KNOWN
        {
            return Ok(Arc::clone(access));
        }
        let access = self.access_apart(&active.space, &active.name, false)?;
        *known = Some((Instant::now(), Arc::clone(&access)));
        Ok(access)
    }

    /// What a plugin may do where its calls count for nothing.
    pub(crate) fn access_apart(
        &self,
        space: &SpaceId,
        name: &str,
        trusted: bool,
    ) -> Result<Arc<Access>, PipelineError> {
        let access = self.make_access(&(space.clone(), name.to_owned()), trusted)?;
        Ok(Arc::new(Access { meter: Arc::default(), ..access }))
    }
}
