//! Device Defender's audit checks, and the kinds of action that can be applied to their findings.
//!
//! See
//! <https://docs.aws.amazon.com/iot-device-defender/latest/devguide/dd-mitigation-actions.html>.

use super::Kind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCheck {
    /// The kinds for its findings, besides [`Kind::PublishFindingToSns`], which is for all; `None` if
    /// AWS documents none.
    kinds: Option<&'static [Kind]>,
}

/// Checks of the API whose kinds AWS does not document.
const UNDOCUMENTED: [&str; 1] = ["DEVICE_CERTIFICATE_AGE_CHECK"];

/// Checks with the same kinds: the API's names first, then other names on AWS's pages.
struct Row {
    names: &'static [&'static str],
    kinds: &'static [Kind],
}

const TABLE: [Row; 5] = [
    Row {
        names: &[
            "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK",
            "CA_CERTIFICATE_EXPIRING_CHECK",
            "CA_CERTIFICATE_KEY_QUALITY_CHECK",
            "REVOKED_CA_CERT_CHECK",
            "CA_CERT_APPROACHING_EXPIRATION_CHECK",
        ],
        kinds: &[Kind::UpdateCaCertificate],
    },
    Row {
        names: &[
            "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK",
            "DEVICE_CERTIFICATE_SHARED_CHECK",
            "DEVICE_CERTIFICATE_EXPIRING_CHECK",
            "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK",
            "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK",
            "DEVICE_CERT_APPROACHING_EXPIRATION_CHECK",
            "REVOKED_DEVICE_CERT_CHECK",
        ],
        kinds: &[Kind::UpdateDeviceCertificate, Kind::AddThingsToThingGroup],
    },
    Row {
        names: &[
            "IOT_POLICY_OVERLY_PERMISSIVE_CHECK",
            "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK",
        ],
        kinds: &[Kind::ReplaceDefaultPolicyVersion],
    },
    Row { names: &["LOGGING_DISABLED_CHECK"], kinds: &[Kind::EnableIoTLogging] },
    Row {
        names: &[
            "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK",
            "AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK",
            "CONFLICTING_CLIENT_IDS_CHECK",
            "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK",
            "IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK",
        ],
        kinds: &[],
    },
];

impl AuditCheck {
    pub fn named(name: &str) -> Option<Self> {
        if UNDOCUMENTED.contains(&name) {
            return Some(Self { kinds: None });
        }
        let row = TABLE.iter().find(|row| row.names.contains(&name))?;
        Some(Self { kinds: Some(row.kinds) })
    }

    /// The kinds of action that can be applied to its findings; `None` if they are not documented.
    pub fn kinds(self) -> Option<Vec<Kind>> {
        let kinds = self.kinds?.iter().copied();
        Some(kinds.chain([Kind::PublishFindingToSns]).collect())
    }
}
