//! What holds of the origins of uses.

use latchkey_model::app_connection::EndReason;
use latchkey_model::id::AppConnectionId;

use super::Maker;
use crate::contract::{Case, Outcome, at, cases, check, check_eq};
use crate::relay::{RelayStore, UsedFrom};

cases! { RelayStore,
    only_a_new_program_in_a_new_network_is_strange,
    origins_are_bounded_and_go_with_their_app_connection,
}

fn used(network: &str, agent: &str, millis: i64) -> UsedFrom {
    UsedFrom {
        network: network.to_owned(),
        agent: agent.to_owned(),
        seen: at(millis),
    }
}

async fn only_a_new_program_in_a_new_network_is_strange(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let id = &ann.connection.id;
    let origins = store.origins();
    let strange = Some((ann.account.id.clone(), "OctoPod".to_owned()));
    for (network, agent, millis, expected) in [
        ("home", "OctoPod", 1, None),
        ("home", "OctoPod", 2, None),
        ("phone", "OctoPod", 3, None),
        ("home", "curl", 4, None),
        ("elsewhere", "wget", 5, strange),
        ("elsewhere", "wget", 6, None),
    ] {
        let told = origins.note(id, &used(network, agent, millis)).await?;
        check_eq!(told, expected);
    }
    check_eq!(origins.last(id).await?, Some(used("elsewhere", "wget", 6)));
    let nobodys = AppConnectionId::generate(&make.chance);
    let told = origins.note(&nobodys, &used("home", "curl", 7)).await?;
    check_eq!(told, None);
    check_eq!(origins.last(&nobodys).await?, None);
    Ok(())
}

async fn origins_are_bounded_and_go_with_their_app_connection(store: &RelayStore) -> Outcome {
    let make = Maker::default();
    let ann = make.household(store, "ann@example.com").await?;
    let id = &ann.connection.id;
    let origins = store.origins();
    for number in 0..30 {
        let network = format!("network {number}");
        origins.note(id, &used(&network, "OctoPod", number)).await?;
    }
    check_eq!(origins.prune().await?, 0);
    let connections = store.app_connections();
    check!(connections.end(id, EndReason::Revoked, at(90)).await?);
    check_eq!(origins.note(id, &used("new", "curl", 91)).await?, None);
    check_eq!(origins.prune().await?, 20);
    Ok(())
}
