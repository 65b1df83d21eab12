/** Passkeys are offered once the server has them. */
export function Passkeys() {
  return null;
}
