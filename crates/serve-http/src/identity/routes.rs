//! The routes of logins, people and their rights.

use super::{access, login, me, passkeys, people, provider, roles, second_factor, shares, tokens};
use crate::routes::{Operation, QueryParameter, Routes};

const JSON: &[&str] = &["application/json"];
/// Ways in which these fail, beside those of every route. 409 is the demo's answer as well.
const READ: &[u16] = &[200, 404, 409];
const MADE: &[u16] = &[201, 400, 404, 409, 413, 415, 503];
const CHANGED: &[u16] = &[200, 400, 404, 409, 413, 415, 503];
const DONE: &[u16] = &[204, 400, 404, 409, 413, 415, 503];
const LOGGED_IN: &[u16] = &[200, 400, 401, 403, 409, 413, 415, 429, 502, 503];

const fn read(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::get(path, id, summary)
        .produces(JSON)
        .answers(READ)
}

const fn make(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::post(path, id, summary)
        .consumes(JSON)
        .produces(JSON)
        .answers(MADE)
}

const fn submit(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    make(path, id, summary).answers(CHANGED)
}

const fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::delete(path, id, summary).answers(DONE)
}

/// Adds them.
pub fn add(routes: Routes) -> Routes {
    let routes = passkey_routes(provider_routes(login_routes(routes)));
    let routes = second_factor_routes(own_routes(routes));
    share_routes(role_routes(people_routes(routes)))
}

fn login_routes(routes: Routes) -> Routes {
    let public = |path, id, summary| submit(path, id, summary).answers(LOGGED_IN).public();
    routes
        .add(
            read("/api/login", "loginWays", "In which ways one can log in").public(),
            login::ways,
        )
        .add(
            public("/api/login", "login", "Log in with a password"),
            login::password,
        )
        .add(
            public(
                "/api/login/second-factor",
                "loginSecondFactor",
                "Go on with a login: a code of the app, or a recovery code",
            ),
            login::second_factor,
        )
        .add(
            public("/api/set-up", "setUp", "Make the first administrator"),
            login::set_up,
        )
        .add(
            public(
                "/api/password-strength",
                "passwordStrength",
                "How hard a password is to guess",
            ),
            login::strength,
        )
        .add(
            public(
                "/api/password-link",
                "usePasswordLink",
                "Set a password with a one-time link",
            ),
            login::password_link,
        )
        .add(
            Operation::post("/api/logout", "logout", "End the session").answers(DONE),
            login::logout,
        )
}

const BACK: &[QueryParameter] = &[
    QueryParameter::string("state", "What the login was begun with"),
    QueryParameter::string("code", "What the provider gives for tokens"),
    QueryParameter::string("error", "Why the provider refused"),
];

fn provider_routes(routes: Routes) -> Routes {
    let begin = Operation::get(
        "/api/providers/{provider}/login",
        "beginProviderLogin",
        "Go to an identity provider to log in",
    )
    .answers(&[303, 404, 409, 502, 503])
    .public();
    let finish = Operation::get(
        "/api/providers/{provider}/callback",
        "finishProviderLogin",
        "Come back from an identity provider",
    )
    .query(BACK)
    .answers(&[303, 400, 401, 404, 409, 502, 503])
    .public();
    routes
        .add(begin, provider::begin)
        .add(finish, provider::finish)
}

fn passkey_routes(routes: Routes) -> Routes {
    let options = Operation::post(
        "/api/me/passkeys/options",
        "beginPasskey",
        "What the browser asks the authenticator to make a passkey",
    )
    .produces(JSON)
    .answers(CHANGED);
    let login_options = Operation::post(
        "/api/login/passkey/options",
        "beginPasskeyLogin",
        "What the browser asks the authenticator to log in",
    )
    .produces(JSON)
    .answers(LOGGED_IN)
    .public();
    let login = submit(
        "/api/login/passkey",
        "loginPasskey",
        "Log in with a passkey",
    )
    .answers(LOGGED_IN)
    .public();
    routes
        .add(login_options, passkeys::begin_login)
        .add(login, passkeys::log_in)
        .add(
            read("/api/me/passkeys", "listPasskeys", "One's passkeys"),
            passkeys::list,
        )
        .add(
            make("/api/me/passkeys", "addPasskey", "Keep a passkey"),
            passkeys::add,
        )
        .add(options, passkeys::begin)
        .add(
            delete(
                "/api/me/passkeys/{passkey}",
                "removePasskey",
                "Forget a passkey",
            ),
            passkeys::remove,
        )
}

fn own_routes(routes: Routes) -> Routes {
    let password = Operation::put(
        "/api/me/password",
        "changePassword",
        "Change one's password",
    )
    .consumes(JSON)
    .answers(DONE);
    let end = delete("/api/me/sessions/{session}", "endSession", "End a session");
    let end_others = delete("/api/me/sessions", "endSessions", "End all other sessions");
    let revoke = delete(
        "/api/me/tokens/{token}",
        "revokeToken",
        "Revoke one's token",
    );
    routes
        .add(
            read("/api/me", "me", "Who asks, what they may do and why"),
            me::me,
        )
        .add(password, me::change_password)
        .add(
            read("/api/me/sessions", "listSessions", "One's sessions"),
            me::sessions,
        )
        .add(end_others, me::end_other_sessions)
        .add(end, me::end_session)
        .add(
            read("/api/me/tokens", "listTokens", "One's API tokens"),
            tokens::list_own,
        )
        .add(
            make("/api/me/tokens", "makeToken", "Make an API token"),
            tokens::make_own,
        )
        .add(revoke, tokens::revoke_own)
}

fn second_factor_routes(routes: Routes) -> Routes {
    let begin = Operation::post(
        "/api/me/totp",
        "beginTotp",
        "Begin to add an authenticator app",
    )
    .produces(JSON)
    .answers(CHANGED);
    let remove = submit(
        "/api/me/totp/remove",
        "removeTotp",
        "Remove one's authenticator app",
    )
    .produces(&[])
    .answers(DONE);
    routes
        .add(begin, second_factor::begin)
        .add(
            submit(
                "/api/me/totp/confirm",
                "confirmTotp",
                "Confirm the app with a code; gives recovery codes",
            ),
            second_factor::confirm,
        )
        .add(remove, second_factor::remove)
        .add(
            submit(
                "/api/me/recovery-codes",
                "makeRecoveryCodes",
                "Make new recovery codes",
            ),
            second_factor::recovery_codes,
        )
}

fn people_routes(routes: Routes) -> Routes {
    let change = Operation::patch("/api/people/{person}", "changePerson", "Change a person")
        .consumes(JSON)
        .produces(JSON)
        .answers(CHANGED);
    let link = Operation::post(
        "/api/people/{person}/password-link",
        "makePasswordLink",
        "Make a one-time link that sets the person's password",
    )
    .produces(JSON)
    .answers(CHANGED);
    let end_sessions = delete(
        "/api/people/{person}/sessions",
        "endSessionsOf",
        "End all sessions of a person",
    );
    let remove_totp = delete(
        "/api/people/{person}/totp",
        "removeTotpOf",
        "Remove a person's authenticator app",
    );
    let remove_grant = delete(
        "/api/people/{person}/grants/{grant}",
        "removeGrant",
        "Take a grant back",
    );
    let make_token = make(
        "/api/people/{person}/tokens",
        "makeTokenFor",
        "Make an API token of a service account",
    );
    let revoke = delete("/api/tokens/{token}", "revokeAnyToken", "Revoke a token");
    routes
        .add(read("/api/people", "listPeople", "Everybody"), people::list)
        .add(
            make("/api/people", "addPerson", "Add a person"),
            people::add,
        )
        .add(
            read(
                "/api/people/{person}",
                "person",
                "A person, with reasons of rights",
            ),
            people::one,
        )
        .add(change, people::change)
        .add(
            delete("/api/people/{person}", "deletePerson", "Delete a person"),
            people::delete,
        )
        .add(link, people::password_link)
        .add(end_sessions, people::end_sessions)
        .add(remove_totp, people::remove_totp)
        .add(
            make(
                "/api/people/{person}/grants",
                "grant",
                "Grant something to a person, for a while or for good",
            ),
            people::grant,
        )
        .add(remove_grant, people::remove_grant)
        .add(make_token, tokens::make_for)
        .add(
            read("/api/tokens", "listAllTokens", "Everybody's API tokens"),
            tokens::list_all,
        )
        .add(revoke, tokens::revoke_any)
}

fn role_routes(routes: Routes) -> Routes {
    let change = Operation::put("/api/roles/{role}", "changeRole", "Change an own role")
        .consumes(JSON)
        .produces(JSON)
        .answers(CHANGED);
    routes
        .add(
            read("/api/roles", "listRoles", "All roles and rights"),
            roles::list,
        )
        .add(make("/api/roles", "addRole", "Add an own role"), roles::add)
        .add(change, roles::change)
        .add(
            delete("/api/roles/{role}", "deleteRole", "Delete an own role"),
            roles::delete,
        )
}

const WAITING: &[QueryParameter] = &[QueryParameter::boolean(
    "waiting",
    "Only those that were not reviewed",
)];

fn share_routes(routes: Routes) -> Routes {
    let open = submit(
        "/api/shares/open",
        "openShare",
        "Open a share with its link and PIN",
    )
    .answers(LOGGED_IN)
    .public();
    let list = read("/api/break-glass", "listBreakGlass", "Break-glass access").query(WAITING);
    let close = Operation::post(
        "/api/break-glass/{access}/close",
        "closeBreakGlass",
        "End break-glass access before its time",
    )
    .answers(DONE);
    routes
        .add(
            read("/api/shares", "listShares", "One's shares"),
            shares::list,
        )
        .add(
            make(
                "/api/shares",
                "makeShare",
                "Share a study or a series by a link",
            ),
            shares::make,
        )
        .add(open, shares::open)
        .add(
            delete("/api/shares/{share}", "revokeShare", "Revoke a share"),
            shares::revoke,
        )
        .add(list.answers(&[200, 400, 404, 409]), access::list)
        .add(
            make(
                "/api/break-glass",
                "openBreakGlass",
                "Open access in an emergency, for a reason and a while",
            ),
            access::open,
        )
        .add(close, access::close)
        .add(
            submit(
                "/api/break-glass/{access}/review",
                "reviewBreakGlass",
                "Review break-glass access",
            ),
            access::review,
        )
}
