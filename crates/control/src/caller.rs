//! Who asks, where, and under which request id.

use bojagi_model::identity::Principal;
use bojagi_model::{AccountId, FunctionArn, FunctionName, Region};
use uuid::Uuid;

/// A verified request's identity, as every operation receives it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who asks. Its account owns every resource that the request can name.
    pub principal: Principal,
    /// The region that the request was signed for.
    pub region: Region,
    /// The request id that client and log see.
    pub request_id: Uuid,
}

impl Caller {
    /// The account whose resources the caller may name.
    pub fn account(&self) -> AccountId {
        self.principal.account
    }

    /// The ARN of the caller's function of that name, in the request's region.
    pub fn function_arn(&self, name: &FunctionName) -> FunctionArn {
        FunctionArn { region: self.region.clone(), account: self.principal.account, name: name.clone() }
    }
}
