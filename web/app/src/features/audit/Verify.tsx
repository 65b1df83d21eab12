import { useAction } from '../../shared/api/hooks.ts';
import { get } from '../../shared/api/request.ts';
import type { Verdict } from '../../shared/api/types.ts';
import { counted } from '../../shared/format.ts';
import { Failure } from '../../shared/ui/Notice.tsx';

/** Whether anything in the trail was changed, deleted or put in another order. */
export function Verify() {
  const verify = useAction<undefined, Verdict>(() => get('api/audit/verify'));
  return (
    <div className="verify">
      <button type="button" className="quiet" disabled={verify.isPending} onClick={() => verify.mutate(undefined)}>
        {verify.isPending ? 'Verifying…' : 'Verify the trail'}
      </button>
      {verify.isPending && <progress aria-label="Verifying the trail" />}
      <Failure error={verify.error} />
      {verify.data !== undefined && <Found verdict={verify.data} />}
    </div>
  );
}

function Found({ verdict }: { verdict: Verdict }) {
  if (verdict.is_sound) {
    return (
      <p className="done" role="status">
        Nothing was changed, deleted or reordered in {counted(verdict.events, 'event')}.
        {verdict.head !== null && (
          <>
            {' '}
            Note the end of the chain elsewhere: <code>{verdict.head}</code>
          </>
        )}
      </p>
    );
  }
  return (
    <div className="failure" role="alert">
      <p>The trail is not what was recorded ({counted(verdict.problems_total, 'problem')}):</p>
      <ul>
        {verdict.problems.map((problem) => (
          <li key={problem}>{problem}</li>
        ))}
      </ul>
    </div>
  );
}
