/** Passkeys (WebAuthn), in the JSON forms that Level 3 of the standard defines. */

export function hasPasskeys(): boolean {
  return typeof PublicKeyCredential === 'function' && window.isSecureContext;
}

/** Makes a passkey; the browser asks the person. */
export async function createPasskey(options: unknown): Promise<unknown> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as PublicKeyCredentialCreationOptionsJSON,
  );
  return asJson(await asked(() => navigator.credentials.create({ publicKey })));
}

/** Proves who one is with a passkey. */
export async function showPasskey(options: unknown): Promise<unknown> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options as PublicKeyCredentialRequestOptionsJSON,
  );
  return asJson(await asked(() => navigator.credentials.get({ publicKey })));
}

/** Browsers say no more than that it did not happen, so that pages learn nothing. */
export class PasskeyRefused extends Error {
  constructor() {
    super('The passkey was not used: it was cancelled, took too long, or there is none for this server.');
  }
}

async function asked(ask: () => Promise<Credential | null>): Promise<Credential | null> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof DOMException ? new PasskeyRefused() : error;
  }
}

function asJson(credential: Credential | null): unknown {
  if (credential instanceof PublicKeyCredential) {
    return credential.toJSON();
  }
  throw new PasskeyRefused();
}
