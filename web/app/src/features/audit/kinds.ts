/** What can happen, in words; several kinds that people think of as one go together. */
export const KINDS: readonly { kind: string; label: string }[] = [
  { kind: 'viewed', label: 'Looked at' },
  { kind: 'queried', label: 'Searched' },
  { kind: 'sent,exported,transfer-begun', label: 'Sent, downloaded, exported' },
  { kind: 'received,received-again,imported', label: 'Stored' },
  { kind: 'modified,restriction-changed', label: 'Changed' },
  { kind: 'instances-deleted,study-deleted,study-purged,restored', label: 'Deleted, restored' },
  { kind: 'logged-in,logged-out', label: 'Logins' },
  { kind: 'locked-out,refused,peer-refused', label: 'Refused' },
  {
    kind: 'user-added,user-changed,user-removed,password-changed,password-reset,factor-added,factor-removed,session-revoked,role-changed,grant-changed',
    label: 'People and rights',
  },
  { kind: 'token-made,token-revoked,share-made,share-revoked,share-used', label: 'Tokens and shares' },
  { kind: 'break-glass-opened,break-glass-closed,break-glass-reviewed', label: 'Emergency access' },
  { kind: 'audit-read,audit-exported,audit-verified', label: 'The audit trail itself' },
  {
    kind: 'application-started,application-stopped,configuration-changed,certificate-changed,key-rotated,audit-damaged,recording-started,recording-stopped',
    label: 'The server',
  },
];

/** A kind's word as words: `token-made` as `token made`. */
export function inWords(kind: string): string {
  const text = kind.replaceAll('-', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
