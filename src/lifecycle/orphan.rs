//! What a failed replacement left behind: the reverse Update that CloudFormation sends removes it.

use super::Lifecycle;
use crate::mitigation::{ActionName, Failure};

impl Lifecycle<'_> {
    /// Removes the action `orphan` if it is this owner's, and was created or taken over later than
    /// the current action. First removes the mark of a waiting request from the current action, so
    /// that the orphan is not created after this look.
    pub(super) async fn remove_orphan(&self, orphan: &ActionName) -> Result<(), Failure> {
        let current = match self.request.current() {
            None => None,
            Some(name) => self.find_consistently(name).await?,
        };
        let current = current.filter(|current| self.ownership(&current.tags).is_exclusive());
        if let Some(current) = &current {
            self.clear_mark(current).await?;
        }
        let Some(found) = self.find_consistently(orphan).await? else { return Ok(()) };
        if !self.ownership(&found.tags).is_exclusive() {
            return Ok(());
        }
        let current_tag = current.and_then(|current| current.tags.request());
        match (found.tags.request(), current_tag) {
            (Some(orphan), Some(current)) if orphan.acquired_at > current.acquired_at => {
                self.remove(&found).await?;
            }
            (Some(_), Some(_)) => {}
            _ => self.iot.warn(format!(
                "the action {orphan} may have been left behind by a failed replacement: it is \
                 kept, because it or the current action has no request tag"
            )),
        }
        Ok(())
    }
}
