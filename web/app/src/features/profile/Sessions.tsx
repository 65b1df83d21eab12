import { useAction, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import type { Session } from '../../shared/api/types.ts';
import { browser, time } from '../../shared/format.ts';
import { Loaded } from '../../shared/ui/Loaded.tsx';
import { Failure } from '../../shared/ui/Notice.tsx';
import { Section } from '../../shared/ui/Page.tsx';
import { Table } from '../../shared/ui/Table.tsx';

/** Where one is logged in. */
export function Sessions() {
  const sessions = useResource<{ sessions: Session[] }>('api/me/sessions');
  const end = useAction<number>((id) => send('DELETE', `api/me/sessions/${id}`), ['api/me/sessions']);
  const endOthers = useAction<undefined>(() => send('DELETE', 'api/me/sessions'), ['api/me/sessions']);
  return (
    <Section title="Where you are logged in">
      <Failure error={end.error ?? endOthers.error} />
      <Loaded query={sessions}>
        {({ sessions: list }) => (
          <>
            <Table
              label="Sessions"
              head={['Browser', 'Address', 'Last used', 'Since', '']}
              rows={list.map((session) => ({
                key: String(session.id),
                cells: [
                  <span title={session.user_agent}>{browser(session.user_agent)}</span>,
                  session.address ?? '',
                  time(session.last_used),
                  `${time(session.created)}, by ${session.method}`,
                  session.is_this === true ? (
                    <span className="chip">this one</span>
                  ) : (
                    <button
                      type="button"
                      className="quiet small"
                      aria-label={`End the session of ${browser(session.user_agent)}, ${session.address ?? ''}`}
                      disabled={end.isPending}
                      onClick={() => end.mutate(session.id)}
                    >
                      End
                    </button>
                  ),
                ],
              }))}
            />
            {list.length > 1 && (
              <p>
                <button
                  type="button"
                  className="quiet"
                  disabled={endOthers.isPending}
                  onClick={() => endOthers.mutate(undefined)}
                >
                  End all others
                </button>
              </p>
            )}
          </>
        )}
      </Loaded>
    </Section>
  );
}
