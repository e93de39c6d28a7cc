//! One certificate, from the account to the chain (RFC 8555 §7).

use std::io;
use std::path::Path;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, KeyPair};
use wharf_net::tls::replace_private;

use crate::https::Https;
use crate::responder::Answers;
use crate::{AcmeError, Settings};

/// How long an authority may take to look, and to sign.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_mins(3));

/// A new key and the chain that the authority signed for it, in PEM, the key first.
pub(crate) async fn obtain(settings: &Settings, answers: &Answers) -> Result<String, AcmeError> {
    let names: Vec<Identifier> = settings.domains.iter().map(|it| identifier(it)).collect();
    let names = NewOrder::new(&names);
    let known = account(settings).await?;
    let mut order = match known.new_order(&names).await {
        Err(instant_acme::Error::Api(problem)) if is_unknown_account(&problem) => {
            tracing::warn!("the authority has forgotten our account: a new one");
            let path = settings.account_file();
            std::fs::remove_file(&path).map_err(|error| AcmeError::State(path, error))?;
            account(settings).await?.new_order(&names).await?
        }
        order => order?,
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => continue,
            status => {
                return Err(AcmeError::Refused(format!(
                    "the authorization is {status:?}"
                )));
            }
        }
        let mut challenge = authorization
            .challenge(ChallengeType::Http01)
            .ok_or(AcmeError::NoHttp)?;
        let text = challenge.key_authorization().as_str().to_owned();
        answers.insert(challenge.token.clone(), text);
        challenge.set_ready().await?;
    }
    let status = order.poll_ready(&POLL).await?;
    if status != OrderStatus::Ready && status != OrderStatus::Valid {
        return Err(AcmeError::Refused(why(&mut order).await));
    }
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(settings.domains.clone())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let request = params.serialize_request(&key)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&POLL).await?;
    Ok(format!("{}{chain}", key.serialize_pem()))
}

fn is_unknown_account(problem: &instant_acme::Problem) -> bool {
    let kind = problem.r#type.as_deref();
    kind == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}

fn identifier(name: &str) -> Identifier {
    match name.parse() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(name.to_owned()),
    }
}

/// What the authority says of a challenge that failed.
async fn why(order: &mut instant_acme::Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let Ok(mut authorization) = authorization else {
            continue;
        };
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let failed = state.challenges.iter().find_map(|it| it.error.as_ref());
        if let Some(problem) = failed {
            return problem.to_string();
        }
    }
    "it says no more".to_owned()
}

async fn account(settings: &Settings) -> Result<Account, AcmeError> {
    let path = settings.account_file();
    let builder = || Account::builder_with_http(Box::new(Https::new(settings.trust.clone())));
    if let Some(text) = read(&path)? {
        let credentials: AccountCredentials = serde_json::from_str(&text)
            .map_err(|error| AcmeError::State(path.clone(), error.into()))?;
        return Ok(builder().from_credentials(credentials).await?);
    }
    let contact = settings.email.as_ref().map(|it| format!("mailto:{it}"));
    let contact: Vec<&str> = contact.as_deref().into_iter().collect();
    let account = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let directory = settings.directory.clone();
    let (account, credentials) = builder().create(&account, directory, None).await?;
    let text = serde_json::to_string(&credentials)
        .map_err(|error| AcmeError::State(path.clone(), error.into()))?;
    replace_private(&path, text.as_bytes()).map_err(|error| AcmeError::State(path, error))?;
    Ok(account)
}

fn read(path: &Path) -> Result<Option<String>, AcmeError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(AcmeError::State(path.to_owned(), error)),
    }
}
