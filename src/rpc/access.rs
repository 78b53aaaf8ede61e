//! Which role may call which method, as the contract says it.
//!
//! Every method of `safelane.v1` carries `option (safelane.v1.access)`. This module reads those options from
//! the descriptor set that is built into the binary, so the contract is the only place where access is
//! written down. It must not know how a caller proves its role.

use std::collections::BTreeMap;

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, MethodDescriptor, ReflectMessage, Value,
};

use crate::domain::caller::Role;
use crate::error::StartError;

/// The package whose methods need a rule.
const PACKAGE: &str = "safelane.v1";
/// The method option that holds the rule.
const OPTION: &str = "safelane.v1.access";

/// One method of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    path: String,
    client_streaming: bool,
    server_streaming: bool,
    roles: Vec<Role>,
}

impl Method {
    /// Full name without a leading slash, such as `safelane.v1.FundingService/PostEntry`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.trim_start_matches('/')
    }

    /// Path of the HTTP request, such as `/safelane.v1.FundingService/PostEntry`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the client sends a stream of messages.
    #[must_use]
    pub const fn client_streaming(&self) -> bool {
        self.client_streaming
    }

    /// Whether the server answers with a stream of messages.
    #[must_use]
    pub const fn server_streaming(&self) -> bool {
        self.server_streaming
    }

    /// The roles that may call the method.
    #[must_use]
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }
}

/// The rule of every method of the contract.
#[derive(Debug, Clone)]
pub struct AccessRules {
    by_path: BTreeMap<String, Method>,
}

impl AccessRules {
    /// Reads the rules from an encoded `FileDescriptorSet`.
    ///
    /// A method without a usable rule would be closed to all or, after a careless change, open to all. So
    /// the service does not start, and the error names every such method at once.
    pub fn from_descriptor(bytes: &[u8]) -> Result<Self, StartError> {
        let pool = DescriptorPool::decode(bytes)
            .map_err(|error| refused(&format!("the descriptor set is unreadable: {error}")))?;
        let option = pool.get_extension_by_name(OPTION);
        let mut by_path = BTreeMap::new();
        let mut faults = Vec::new();
        for method in contract_methods(&pool) {
            let path = path_of(&method);
            match roles_of(&method, option.as_ref()) {
                Ok(roles) => {
                    by_path.insert(path.clone(), rule(&method, path, roles));
                }
                Err(fault) => faults.push(format!("{} {fault}", path.trim_start_matches('/'))),
            }
        }
        if !faults.is_empty() {
            return Err(refused(&faults.join("; ")));
        }
        if by_path.is_empty() {
            return Err(refused(&format!("the descriptor set has no method of {PACKAGE}")));
        }
        Ok(Self { by_path })
    }

    /// Whether a caller of this role may call the method at this path. An unknown path is closed to all.
    #[must_use]
    pub fn allows(&self, path: &str, role: Role) -> bool {
        self.by_path.get(path).is_some_and(|method| method.roles.contains(&role))
    }

    /// Whether the contract has a method at this path.
    #[must_use]
    pub fn knows(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    /// Every method of the contract, in the order of their names.
    #[must_use]
    pub fn methods(&self) -> impl ExactSizeIterator<Item = &Method> {
        self.by_path.values()
    }
}

/// The error for a contract that cannot be served.
fn refused(faults: &str) -> StartError {
    StartError::Refused(format!(
        "access rules: {faults}. Every method of {PACKAGE} needs option ({OPTION}) with at least one role"
    ))
}

/// Every method of our package. Services of other packages, such as health, have no rule.
fn contract_methods(pool: &DescriptorPool) -> Vec<MethodDescriptor> {
    pool.services()
        .filter(|service| service.package_name() == PACKAGE)
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn rule(method: &MethodDescriptor, path: String, roles: Vec<Role>) -> Method {
    Method {
        path,
        client_streaming: method.is_client_streaming(),
        server_streaming: method.is_server_streaming(),
        roles,
    }
}

/// The roles of one method, or what is wrong with its rule.
fn roles_of(method: &MethodDescriptor, option: Option<&ExtensionDescriptor>) -> Result<Vec<Role>, String> {
    let options = method.options();
    let option = option.filter(|option| options.has_extension(option)).ok_or("has no rule")?;
    let value = options.get_extension(option);
    let access = value.as_message().ok_or("has a rule that is not a message")?;
    let listed = access.get_field_by_name("roles").ok_or("has a rule without `roles`")?;
    let listed = listed.as_list().ok_or("has a rule whose `roles` is not a list")?;
    if listed.is_empty() {
        return Err("has a rule without roles".to_owned());
    }
    listed.iter().map(|number| role_of(access, number)).collect()
}

/// The role that an enum value stands for. Names are compared, not numbers, so that a value that the
/// contract has and the domain does not know stops the start instead of becoming some other role.
fn role_of(access: &DynamicMessage, number: &Value) -> Result<Role, String> {
    let number = number.as_enum_number().ok_or("lists something that is not a role")?;
    let field = access.descriptor().get_field_by_name("roles");
    let kind = field.map(|field| field.kind());
    let value = kind.as_ref().and_then(|kind| kind.as_enum()?.get_value(number));
    let Some(value) = value else {
        return Err(format!("lists role number {number}, which does not exist"));
    };
    let name = value.name().trim_start_matches("ROLE_").to_ascii_lowercase();
    Role::from_name(&name).ok_or_else(|| format!("lists {}", value.name()))
}
