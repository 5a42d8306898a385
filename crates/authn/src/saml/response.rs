//! What a response must say before anybody is believed to be who it says (SAML profiles section
//! 4.1.4.3). Everything that grants is read from what a signature covers; what is not covered can
//! only refuse.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keysherd_base::Timestamp;
use keysherd_crypto::xmldsig::{self, Element, XML_BYTES_MAX};
use serde_json::{Map, Value};

use super::metadata::{Provider, time};
use super::{ASSERTION, PROTOCOL, SKEW_SECONDS};

#[cfg(test)]
mod tests;

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
/// The name under which the subject itself is a claim.
pub(crate) const NAME_ID: &str = "NameID";

/// What a response has to be an answer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Who may answer.
    pub(crate) provider: &'a Provider,
    /// The id of the request.
    pub(crate) request_id: &'a str,
    /// The entity id of this service provider.
    pub(crate) entity_id: &'a str,
    /// Where the response had to be posted to.
    pub(crate) consumer_url: &'a str,
    /// The time.
    pub(crate) now: Timestamp,
}

/// What an accepted response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Which assertion it was: it counts once.
    pub(crate) assertion_id: String,
    /// Until when it could be presented again.
    pub(crate) until: Timestamp,
    /// When the session at the provider ends, if it says so.
    pub(crate) session_ends: Option<Timestamp>,
    /// Attribute names to texts; the subject is [`NAME_ID`].
    pub(crate) attributes: Map<String, Value>,
}

/// Reads a response in base64, as the browser posts it.
///
/// # Errors
/// Which check failed: for the log, not for the caller.
pub(crate) fn read(response: &str, asked: &Asked<'_>) -> Result<Answered, String> {
    if response.len() > XML_BYTES_MAX * 2 {
        return Err("the response is too long".to_owned());
    }
    let bare: String = response.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let xml = STANDARD.decode(bare).map_err(|_| "the response is not base64")?;
    let xml = String::from_utf8(xml).map_err(|_| "the response is not UTF-8")?;
    let root = xmldsig::verify(&xml, &asked.provider.certificates)
        .map_err(|refused| format!("the response: {refused}"))?;
    check_response(&root, asked)?;
    // One in all of the document: none can hide beside, above or below the one that is signed.
    let assertion = root.only(ASSERTION, "Assertion").ok_or("there is not one assertion")?;
    if root.count(ASSERTION, "Assertion") != 1 || root.count(ASSERTION, "EncryptedAssertion") != 0 {
        return Err("there is more than one assertion, or an encrypted one".to_owned());
    }
    if !assertion.signed {
        return Err("no signature covers the assertion".to_owned());
    }
    check_assertion(assertion, asked)
}

fn check_response(root: &Element, asked: &Asked<'_>) -> Result<(), String> {
    let fits = |name: &str, wanted: &str| {
        let given = root.attribute(name);
        if given == Some(wanted) { Ok(()) } else { Err(format!("{name} is {given:?}")) }
    };
    if !root.is(PROTOCOL, "Response") {
        return Err("it is no response".to_owned());
    }
    fits("Version", "2.0")?;
    fits("InResponseTo", asked.request_id)?;
    if root.attribute("Destination").is_some() {
        fits("Destination", asked.consumer_url)?;
    }
    let issuer = root.only(ASSERTION, "Issuer").map(|issuer| issuer.text.trim());
    if issuer.is_some_and(|issuer| issuer != asked.provider.entity_id) {
        return Err(format!("the response's issuer is {issuer:?}"));
    }
    let code = root.only(PROTOCOL, "Status").and_then(|status| status.only(PROTOCOL, "StatusCode"));
    match code.and_then(|code| code.attribute("Value")) {
        Some(SUCCESS) => Ok(()),
        other => Err(format!("the status is {other:?}")),
    }
}

fn check_assertion(assertion: &Element, asked: &Asked<'_>) -> Result<Answered, String> {
    let issuer = assertion.only(ASSERTION, "Issuer").map(|issuer| issuer.text.trim());
    if issuer != Some(asked.provider.entity_id.as_str()) {
        return Err(format!("the assertion's issuer is {issuer:?}"));
    }
    if assertion.attribute("Version") != Some("2.0") {
        return Err("the assertion's version is not 2.0".to_owned());
    }
    let id = assertion.attribute("ID").filter(|id| !id.is_empty()).ok_or("it has no ID")?;
    let conditions = assertion.only(ASSERTION, "Conditions").ok_or("it has no conditions")?;
    window(conditions, asked.now)?;
    check_audience(conditions, asked)?;
    let subject = assertion.only(ASSERTION, "Subject").ok_or("it has no subject")?;
    let until = confirmed(subject, asked)?;
    let statements = assertion.all(ASSERTION, "AuthnStatement").collect::<Vec<_>>();
    if statements.is_empty() {
        return Err("it says nothing about a sign-in".to_owned());
    }
    let ends = statements.iter().filter_map(|it| it.attribute("SessionNotOnOrAfter"));
    let ends: Option<Vec<_>> = ends.map(time).collect();
    let ends = ends.ok_or("SessionNotOnOrAfter is no time")?.into_iter().min();
    if ends.is_some_and(|end| asked.now >= end) {
        return Err("the session at the provider is over".to_owned());
    }
    Ok(Answered {
        assertion_id: id.to_owned(),
        until,
        session_ends: ends,
        attributes: attributes(assertion, subject),
    })
}

/// `NotBefore` and `NotOnOrAfter`, the latter required.
fn window(element: &Element, now: Timestamp) -> Result<Timestamp, String> {
    let begin = element.attribute("NotBefore").map(|text| time(text).ok_or("NotBefore is no time"));
    if begin.transpose()?.is_some_and(|begin| now.plus_seconds(SKEW_SECONDS) < begin) {
        return Err("it is not valid yet".to_owned());
    }
    let end = element.attribute("NotOnOrAfter").and_then(time).ok_or("it has no NotOnOrAfter")?;
    let end = end.plus_seconds(SKEW_SECONDS);
    if now >= end { Err("it has expired".to_owned()) } else { Ok(end) }
}

fn check_audience(conditions: &Element, asked: &Asked<'_>) -> Result<(), String> {
    let mut restrictions = conditions.all(ASSERTION, "AudienceRestriction").peekable();
    if restrictions.peek().is_none() {
        return Err("it is restricted to no audience".to_owned());
    }
    let names_us = |restriction: &Element| {
        restriction.all(ASSERTION, "Audience").any(|it| it.text.trim() == asked.entity_id)
    };
    if restrictions.all(names_us) { Ok(()) } else { Err("it is for another audience".to_owned()) }
}

/// Until when a bearer confirmation that fits the request is good.
fn confirmed(subject: &Element, asked: &Asked<'_>) -> Result<Timestamp, String> {
    let mut why = "it has no bearer confirmation".to_owned();
    for confirmation in subject.all(ASSERTION, "SubjectConfirmation") {
        if confirmation.attribute("Method") != Some(BEARER) {
            continue;
        }
        let Some(data) = confirmation.only(ASSERTION, "SubjectConfirmationData") else { continue };
        if data.attribute("Recipient") != Some(asked.consumer_url) {
            why = "its recipient is another".to_owned();
        } else if data.attribute("InResponseTo") != Some(asked.request_id) {
            why = "it answers another request".to_owned();
        } else {
            match window(data, asked.now) {
                Ok(until) => return Ok(until),
                Err(late) => why = late,
            }
        }
    }
    Err(why)
}

fn attributes(assertion: &Element, subject: &Element) -> Map<String, Value> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let statements = assertion.all(ASSERTION, "AttributeStatement");
    for attribute in statements.flat_map(|statement| statement.all(ASSERTION, "Attribute")) {
        // `FriendlyName` is for people, and identifies nothing (SAML core section 2.7.3.1).
        let Some(name) = attribute.attribute("Name") else { continue };
        let values = attribute.all(ASSERTION, "AttributeValue");
        let texts = values.map(|value| Value::from(value.text.trim()));
        found.entry(name.to_owned()).or_default().extend(texts);
    }
    if let Some(name) = subject.only(ASSERTION, "NameID") {
        // An attribute of this name is not the subject.
        found.insert(NAME_ID.to_owned(), vec![name.text.trim().into()]);
    }
    found.into_iter().map(|(name, values)| (name, Value::Array(values))).collect()
}
