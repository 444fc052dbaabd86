//! The kinds of mitigation action.

string_enum! {
    /// A kind of mitigation action, by the API's
    /// [`actionType`](https://docs.aws.amazon.com/iot/latest/apireference/API_DescribeMitigationAction.html).
    ///
    /// When adding one, also add a variant to [`Params`](super::Params). The compiler names every
    /// match in Rust. Then tests report what is missing:
    ///
    /// - `tests/contract/completeness/kinds.rs`: `schemas/`, [`AuditCheck`](super::AuditCheck),
    ///   `examples/all-kinds.yaml`, `cdk/src/index.ts`, `docs/reference.md`, what a describe
    ///   returns, the list of the demo (`stand-ins/src/bin/stand-ins/demo.rs`), and
    ///   `fuzz/dict/invocation.dict`.
    /// - `tests/contract/lifecycle/create.rs`: a sample in `events/`, which the fake AWS IoT
    ///   (`stand-ins/src/iot.rs` and `stand-ins/src/iot/validation.rs`) must accept.
    /// - `tests/deploy/test_examples.py`: the permissions of its role.
    pub enum Kind {
        /// Moves things to thing groups, typically for quarantine.
        AddThingsToThingGroup = "ADD_THINGS_TO_THING_GROUP",
        /// Turns AWS IoT logging on.
        EnableIoTLogging = "ENABLE_IOT_LOGGING",
        /// Publishes the finding to an SNS topic.
        PublishFindingToSns = "PUBLISH_FINDING_TO_SNS",
        /// Replaces a policy with a blank one.
        ReplaceDefaultPolicyVersion = "REPLACE_DEFAULT_POLICY_VERSION",
        /// Deactivates a CA certificate.
        UpdateCaCertificate = "UPDATE_CA_CERTIFICATE",
        /// Deactivates a device certificate.
        UpdateDeviceCertificate = "UPDATE_DEVICE_CERTIFICATE",
    }
}

impl Kind {
    /// The member of
    /// [`MitigationActionParams`](https://docs.aws.amazon.com/iot/latest/apireference/API_MitigationActionParams.html)
    /// that holds the parameters of this kind.
    #[must_use]
    pub const fn params_member(self) -> &'static str {
        match self {
            Self::AddThingsToThingGroup => "addThingsToThingGroupParams",
            Self::EnableIoTLogging => "enableIoTLoggingParams",
            Self::PublishFindingToSns => "publishFindingToSnsParams",
            Self::ReplaceDefaultPolicyVersion => "replaceDefaultPolicyVersionParams",
            Self::UpdateCaCertificate => "updateCACertificateParams",
            Self::UpdateDeviceCertificate => "updateDeviceCertificateParams",
        }
    }
}
