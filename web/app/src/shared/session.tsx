import { useQueryClient } from '@tanstack/react-query';
import { createContext, use, type ReactNode } from 'react';
import type { Me, Right } from './api/types.ts';

/** Who is logged in. */
const SessionContext = createContext<Me | undefined>(undefined);

export function SessionProvider({ me, children }: { me: Me | undefined; children: ReactNode }) {
  return <SessionContext value={me}>{children}</SessionContext>;
}

/** Who is logged in, on pages that nobody else sees. */
export function useMe(): Me {
  const me = use(SessionContext);
  if (me === undefined) {
    throw new Error('this page is for who is logged in');
  }
  return me;
}

export function useHolds(): (right: Right) => boolean {
  const { rights } = useMe();
  return (right) => rights.includes(right);
}

/** Asks the server again who is logged in. */
export function useRefreshSession(): () => Promise<void> {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: ['api/me'] });
}
