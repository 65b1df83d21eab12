import type { ReactNode } from 'react';
import { ServerError } from '../api/request.ts';

/** What went wrong, in plain words. */
export function Failure({ error }: { error: Error | null }) {
  if (error === null) {
    return null;
  }
  return (
    <p className="failure" role="alert">
      {error.message}
      {error instanceof ServerError && error.retryAfter !== undefined && ` Try again in ${wait(error.retryAfter)}.`}
    </p>
  );
}

function wait(seconds: number): string {
  if (seconds < 90) {
    return `${seconds} seconds`;
  }
  return `${Math.ceil(seconds / 60)} minutes`;
}

export function Loading() {
  return (
    <p className="none" role="status">
      Loading…
    </p>
  );
}

/** Nothing to show, and what to do about it. */
export function Empty({ children }: { children: ReactNode }) {
  return <p className="none">{children}</p>;
}

/** Something that happened. */
export function Done({ children }: { children: ReactNode }) {
  return (
    <p className="done" role="status">
      {children}
    </p>
  );
}
