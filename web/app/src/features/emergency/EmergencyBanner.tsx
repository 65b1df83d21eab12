import { useEffect, useState } from 'react';
import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { BreakGlass } from '../../shared/api/types.ts';
import { time } from '../../shared/format.ts';
import { useMe } from '../../shared/session.tsx';

const SECOND = 1000;

/** The time, every few seconds. */
function useNow(): number {
  const [now, setNow] = useState(() => Date.now() * 1000);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now() * 1000), 5 * SECOND);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}

/** Says on every page that emergency access is open. */
export function EmergencyBanner() {
  const { person } = useMe();
  const now = useNow();
  const accesses = useResource<{ accesses: BreakGlass[] }>('api/break-glass');
  const close = useAction<number>(
    (id) => send('POST', `api/break-glass/${id}/close`),
    ['api/break-glass', 'api/me'],
  );
  const open = accesses.data?.accesses.filter(
    (access) => access.login === person?.login && access.ends > now,
  );
  return open?.map((access) => (
    <p className="banner emergency" role="status" key={access.id}>
      <span>
        Emergency access until {time(access.ends)}: “{access.reason}”. It is recorded and will be reviewed.
      </span>
      <button type="button" className="small" disabled={close.isPending} onClick={() => close.mutate(access.id)}>
        End it
      </button>
    </p>
  ));
}
