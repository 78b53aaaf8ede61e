//! `safelane token`: keys and tokens for development and tests.
//!
//! It plays the identity provider that a real installation has. It must not know how tokens are verified;
//! a test checks that what it makes is what the service accepts.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::signing_key::{KeyAlgorithm, SigningKey};
use crate::clock::Clock;
use crate::domain::caller::{Caller, Role};
use crate::error::StartError;

/// Longest life of a development token. A stolen one should not work for ever.
const MAX_TTL: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Arguments of `safelane token`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  safelane token keys --dir ./dev-keys
  safelane serve --jwks-file ./dev-keys/jwks.json
  TOKEN=$(safelane token issue --dir ./dev-keys --role admin --subject lea)
  grpcurl -H \"authorization: Bearer $TOKEN\" ...

These keys are for development. In production tokens come from your identity provider,
and --jwks-file names its public keys.")]
pub struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a signing key and the key set that the service reads
    Keys(KeysArgs),
    /// Print a token that is signed with such a key
    Issue(IssueArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Writes jwks.json (public, for --jwks-file) and signing-key.json (private, mode 0600).

Examples:
  safelane token keys --dir ./dev-keys
  safelane token keys --dir ./dev-keys --algorithm es256 --force")]
struct KeysArgs {
    /// Directory for both files; it is made if it is missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Signature algorithm of the key
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::Eddsa)]
    algorithm: KeyAlgorithm,
    /// Replace keys that exist; tokens of the old key stop working
    #[arg(long)]
    force: bool,
    /// Print a JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  TOKEN=$(safelane token issue --dir ./dev-keys --role coordinator --subject lea \\
      --organization 0190a5b6-7c1d-7e2f-8a3b-4c5d6e7f8091)
  safelane token issue --dir ./dev-keys --role auditor --subject audit-bot --ttl 30m --json")]
struct IssueArgs {
    /// Directory that `safelane token keys` wrote
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// What the bearer may do
    #[arg(long, value_parser = role_parser())]
    role: Role,
    /// Organization for which the bearer acts; field, coordinator and funder need one
    #[arg(long, value_name = "UUID")]
    organization: Option<Uuid>,
    /// Name under which the bearer is recorded
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// How long the token works, such as 30m, 8h or 7d; at most 31 days
    #[arg(long, value_name = "DURATION", default_value = "8h", value_parser = parse_ttl)]
    ttl: SignedDuration,
    /// The service must run with the same issuer
    #[arg(long, value_name = "NAME", default_value = "safelane-dev")]
    issuer: String,
    /// The service must run with the same audience
    #[arg(long, value_name = "NAME", default_value = "safelane")]
    audience: String,
    /// Print a JSON object instead of the bare token
    #[arg(long)]
    json: bool,
}

fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name))
        .try_map(|name| Role::from_name(&name).ok_or("not a role"))
}

fn parse_ttl(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    // Days are allowed because people write `7d`; a span keeps them apart until told how long they are.
    let ttl = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|error| error.to_string())?;
    if ttl < SignedDuration::from_secs(1) || ttl > MAX_TTL {
        return Err("a token lives for 1 second to 31 days".to_owned());
    }
    Ok(ttl)
}

/// Runs `safelane token` and writes its result to `out`.
pub fn run(args: &TokenArgs, clock: &dyn Clock, out: &mut dyn Write) -> Result<(), StartError> {
    let text = match &args.command {
        TokenCommand::Keys(args) => make_keys(args)?,
        TokenCommand::Issue(args) => issue(args, clock.now())?,
    };
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| StartError::Refused(format!("the output cannot be written: {error}")))
}

fn make_keys(args: &KeysArgs) -> Result<String, StartError> {
    let key = SigningKey::draw(args.algorithm)?;
    let (public, private) = key.write(&args.dir, args.force)?;
    if args.json {
        let files = json!({ "jwks_file": public, "signing_key_file": private });
        return Ok(json!({ "key_id": key.key_id(), "files": files }).to_string());
    }
    let (public, private) = (public.display(), private.display());
    let dir = args.dir.display();
    Ok(format!(
        "wrote {public} (public) and {private} (private, keep it secret)\n\
         next: safelane serve --jwks-file {public}\n\
         then: safelane token issue --dir {dir} --role admin --subject NAME"
    ))
}

fn issue(args: &IssueArgs, now: Timestamp) -> Result<String, StartError> {
    // Made only to be refused here and not by the service, where nobody would learn why.
    let caller = Caller::new(&args.subject, args.role, args.organization).map_err(|error| {
        StartError::Refused(format!("no token: {error} (see --subject and --organization)"))
    })?;
    let end = now
        .checked_add(args.ttl)
        .map_err(|error| StartError::Refused(format!("no token: the clock is wrong: {error}")))?;
    let token = SigningKey::read(&args.dir)?.sign(&claims(args, &caller, now, end))?;
    if !args.json {
        return Ok(token);
    }
    let answer = json!({ "token": token, "expires_at": end.to_string(), "subject": args.subject,
        "role": args.role.name(), "organization": args.organization.map(|id| id.to_string()) });
    Ok(answer.to_string())
}

fn claims(args: &IssueArgs, caller: &Caller, now: Timestamp, end: Timestamp) -> Value {
    let mut claims = json!({
        "iss": args.issuer,
        "aud": args.audience,
        "sub": caller.subject(),
        "role": caller.role().name(),
        "iat": now.as_second(),
        "exp": end.as_second(),
    });
    if let Some(organization) = caller.organization_id() {
        claims["org"] = organization.to_string().into();
    }
    claims
}
