import { useState } from 'react';
import { useAction, useHasRoute, useResource } from '../../shared/api/hooks.ts';
import { send } from '../../shared/api/request.ts';
import { useHolds, useMe } from '../../shared/session.tsx';
import { Failure } from '../../shared/ui/Notice.tsx';

type Marks = { labels: string[]; restricted: boolean };

/** What decides who sees a study, and who has. */
export function StudyTools({ study }: { study: string }) {
  const holds = useHolds();
  const hasRoute = useHasRoute();
  const { is_demo: isDemo, person } = useMe();
  const hasMarks = hasRoute('GET', '/api/studies/{study}/marks') && (isDemo === true || person !== null);
  const canExplain = holds('administer') && isDemo !== true && hasRoute('GET', '/api/studies/{study}/explanation');
  return (
    <div className="study-tools">
      {hasMarks && <StudyMarks study={study} />}
      {holds('audit') && <a href={`#/audit?study=${study}`}>Who saw this study?</a>}
      {canExplain && <a href={`#/why/${study}`}>Why can somebody see it?</a>}
    </div>
  );
}

function StudyMarks({ study }: { study: string }) {
  const path = `api/studies/${study}/marks`;
  const marks = useResource<Marks>(path);
  const holds = useHolds();
  const [label, setLabel] = useState('');
  const addLabel = useAction<string>(
    (text) => send('PUT', `api/studies/${study}/labels/${encodeURIComponent(text)}`),
    [path],
  );
  const removeLabel = useAction<string>(
    (text) => send('DELETE', `api/studies/${study}/labels/${encodeURIComponent(text)}`),
    [path],
  );
  const restrict = useAction<boolean>(
    (wanted) => send(wanted ? 'PUT' : 'DELETE', `api/studies/${study}/restriction`),
    [path],
  );
  if (marks.data === undefined) {
    return null;
  }
  const { labels, restricted } = marks.data;
  const mayModify = holds('modify');
  return (
    <>
      {restricted && <span className="chip bad">restricted</span>}
      {labels.map((text) => (
        <span className="chip" key={text}>
          {text}
          {mayModify && (
            <button
              type="button"
              className="in-chip"
              aria-label={`Take the label ${text} away`}
              onClick={() => removeLabel.mutate(text)}
            >
              ✕
            </button>
          )}
        </span>
      ))}
      {mayModify && (
        <>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (label.trim() !== '') {
                addLabel.mutate(label.trim(), { onSuccess: () => setLabel('') });
              }
            }}
          >
            <input
              aria-label="New label of the study"
              placeholder="Add a label"
              autoComplete="off"
              value={label}
              onChange={(event) => setLabel(event.target.value)}
            />
          </form>
          <button
            type="button"
            className="quiet small"
            disabled={restrict.isPending}
            onClick={() => restrict.mutate(!restricted)}
          >
            {restricted ? 'Lift the restriction' : 'Restrict (embargo, VIP)'}
          </button>
        </>
      )}
      <Failure error={addLabel.error ?? removeLabel.error ?? restrict.error} />
    </>
  );
}
