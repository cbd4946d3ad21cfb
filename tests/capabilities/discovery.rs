//! What tells programs what this server is.

use haldir::operations;

use crate::support::{House, Server, json, refuses_to_start, text};

const URL: &str = "https://haldir.example.com";

fn public(house: &House, more: &[&str]) -> Server {
    let mut command = house.serving();
    command.args(["--public-url", URL]).args(more);
    Server::start(command)
}

#[test]
fn llms_txt_names_every_operation_and_where_to_call_it() {
    let house = House::new();
    let answer = public(&house, &[]).anonymous().get("/llms.txt");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(answer.text.starts_with("# haldir\n\n> "), "{}", answer.text);
    assert!(answer.text.contains(&format!("({URL}/openapi.json)")) && answer.text.contains(&format!("{URL}/mcp")));
    for operation in operations::all() {
        let route = format!("- `{} {}`: ", operation.method.as_str(), operation.path.replace("{*", "{"));
        assert!(answer.text.contains(&route), "{route}");
        assert_eq!(operation.tool.is_some(), answer.text.contains(&format!("- `{}`: ", operation.name)));
    }
}

#[test]
fn the_plugin_manifest_leads_to_the_document() {
    let house = House::new();
    let server = public(&house, &["--security-contact", "mailto:security@example.com"]);
    let plugin = server.anonymous().get("/.well-known/ai-plugin.json").ok();
    assert_eq!((&plugin["schema_version"], &plugin["auth"]["authorization_type"]), (&json!("v1"), &json!("bearer")));
    assert_eq!(plugin["api"], json!({"type": "openapi", "url": format!("{URL}/openapi.json")}));
    assert_eq!(plugin["contact_email"], "security@example.com");
    for field in ["name_for_human", "name_for_model", "description_for_human", "description_for_model"] {
        assert!(!text(&plugin, field).is_empty());
    }
}

#[test]
fn mcp_clients_find_the_endpoint_at_its_public_address() {
    let house = House::new();
    let server = public(&house, &[]);
    let found = server.anonymous().get("/.well-known/mcp/mcp.json").ok();
    assert_eq!((text(&found, "mcpEndpoint"), text(&found, "url")), (format!("{URL}/mcp"), URL.to_owned()));
    assert_eq!(found["capabilities"]["tools"].as_array().unwrap().len(), 10);
    assert_eq!(found["capabilities"]["prompts"], json!(["security-audit", "budget-check"]));
    let card = server.anonymous().get("/.well-known/mcp/server-card.json").ok();
    assert_eq!((text(&card, "url"), text(&card["transport"], "url")), (URL.to_owned(), format!("{URL}/mcp")));
    assert_eq!(card["transports"][0]["url"], format!("{URL}/mcp"));
}

#[test]
fn security_txt_says_whom_to_tell_or_is_not_there() {
    let house = House::new();
    public(&house, &[]).anonymous().get("/.well-known/security.txt").refused(404, "not_found");
    let server = public(&house, &["--security-contact", "mailto:security@example.com"]);
    let answer = server.anonymous().get("/.well-known/security.txt");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let field = |name: &str| {
        let prefix = format!("{name}: ");
        answer.text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_else(|| panic!("{}", answer.text))
    };
    assert_eq!(field("Contact"), "mailto:security@example.com");
    assert_eq!(field("Canonical"), format!("{URL}/.well-known/security.txt"));
    let expires: jiff::Timestamp = field("Expires").parse().unwrap();
    let days = expires.duration_since(jiff::Timestamp::now()).as_hours() / 24;
    assert!((170..=365).contains(&days), "expires in {days} days");
    for nowhere in ["security@example.com", "mailto:", "https://a b"] {
        let mut command = house.serving();
        command.args(["--security-contact", nowhere]);
        assert!(refuses_to_start(command).contains("HALDIR_SECURITY_CONTACT"));
    }
}
