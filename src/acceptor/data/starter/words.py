"""Every word of the starter corpus but the function words: nouns and verbs by class, adjectives, adverbs, times."""

from __future__ import annotations

from acceptor.data.starter.lexicon import Lexicon, activities, adjectives, entries, nouns, verbs

ENGLISH = Lexicon(
    men=tuple(
        entries("""
        Adam, Albert, Andrew, Anthony, Arthur, Benjamin, Brian, Charles, Daniel, David, Edward, Eric,
        Frederick, George, Gregory, Harold, Henry, Howard, Jack, Jacob, James, John, Joseph, Kenneth,
        Kevin, Louis, Martin, Matthew, Michael, Nicholas, Oliver, Oscar, Patrick, Paul, Peter, Philip,
        Richard, Robert, Samuel, Simon, Stephen, Theodore, Thomas, Vincent, Walter, William""")
    ),
    women=tuple(
        entries("""
        Agnes, Alice, Amanda, Amy, Anna, Barbara, Beatrice, Carol, Catherine, Charlotte, Christine,
        Claire, Deborah, Diana, Dorothy, Eleanor, Elizabeth, Emily, Emma, Frances, Helen, Irene, Jane,
        Jennifer, Jessica, Judith, Julia, Karen, Laura, Linda, Lucy, Margaret, Maria, Martha, Mary,
        Nancy, Olivia, Patricia, Rachel, Rebecca, Sarah, Sophia, Susan, Teresa, Ursula, Victoria""")
    ),
    people=nouns(
        """
        accountant, actor, architect, artist, author, baker, banker, barber, biologist, bishop, butcher,
        captain, carpenter, chemist, child children, clerk, composer, criminal, customer, dancer,
        dentist, detective, doctor, driver, editor, electrician, engineer, farmer, firefighter,
        gardener, governor, guard, guest, hairdresser, historian, hunter, inspector, inventor,
        journalist, judge, king, lawyer, librarian, linguist, magician, manager, mayor, mechanic,
        minister, monk, musician, novelist, nun, nurse, officer, painter, passenger, pianist,
        pilot, pirate, plumber, poet, politician, president, priest, prince, princess, prisoner,
        professor, queen, referee, reporter, sailor, scholar, scientist, secretary, senator, sheriff,
        singer, soldier, spy, student, surgeon, tailor, teacher, thief thieves, tourist, traveler,
        violinist, visitor, waiter, waitress, witness, writer""",
        human=True,
    ),
    friends=nouns(
        """
        assistant, boss, classmate, client, coach, colleague, cousin, coworker, friend, grandchild
        grandchildren, kid, landlord, neighbor, partner, pupil, relative, roommate, teammate, twin""",
        human=True,
    ),
    brothers=nouns(
        "brother, father, godson, grandfather, grandson, nephew, son, stepbrother, stepson, uncle",
        human=True,
    ),
    sisters=nouns(
        "sister, aunt, daughter, goddaughter, granddaughter, grandmother, mother, niece, stepdaughter, stepsister",
        human=True,
    ),
    animals=nouns(
        """
        bear, bird, camel, cat, chicken, cow, dog, donkey, duck, elephant, frog, goat, hamster, horse,
        kitten, lion, monkey, mouse mice, parrot, pig, puppy, rabbit, snake, squirrel, tiger, turtle,
        wolf wolves, zebra""",
        human=False,
    ),
    things=nouns(
        """
        backpack, bag, banner, basket, battery, bell, belt, bicycle, blanket, book, bottle, box,
        bracelet, brush, bucket, button, cable, calendar, camera, candle, cane, card, chair, clock, coin,
        comb, compass, cradle, crate, crown, cup, cushion, desk, dish, doll, drum, envelope, flag,
        flashlight, flute, fork, glove, guitar, hammer, handbag, harp, hat, helmet, jacket, kettle, key,
        knife knives, ladder, lamp, lantern, magnet, map, mask, mattress, mirror, nail, necklace,
        needle, notebook, paddle, parcel, pen, pencil, pillow, pipe, plate, postcard, razor, ribbon,
        rope, rug, saddle, scarf scarves, screwdriver, shelf shelves, shoe, shovel, skirt, spoon, statue,
        stool, suitcase, sword, table, tent, ticket, toaster, toothbrush, toy, tray, trophy, umbrella,
        vase, violin, wallet, whip""",
        human=False,
    ),
    places=nouns(
        """
        airport, apartment, attic, bakery, barn, basement, bedroom, cafe, castle, cathedral, cellar,
        church, classroom, corridor, cottage, factory, forest, garage, garden, gym, hallway, hospital,
        hotel, house, kitchen, library, mall, museum, office, palace, park, pub, restaurant, school,
        shop, stable, station, studio studios, theater, tower, village""",
        human=False,
    ),
    cities=tuple(
        entries("""
        Athens, Berlin, Boston, Brussels, Budapest, Cairo, Chicago, Copenhagen, Dallas, Delhi, Denver,
        Dublin, Edinburgh, Geneva, Helsinki, Lisbon, Madrid, Milan, Moscow, Oslo, Oxford, Prague, Rome,
        Seattle, Stockholm, Sydney, Tokyo, Toronto, Vienna, Warsaw""")
    ),
    mass=tuple(
        entries("""
        furniture, luggage, equipment, rice, sugar, flour, sand, milk, butter, bread, salt, gold,
        soap, wool, leather, clay, gravel, hay, cement, mud, gasoline, money, homework, software,
        knowledge, patience, courage, advice, information, evidence, tea, juice, honey, cotton, wood,
        jewelry, clothing, pepper, garlic, cash, garbage, cheese, ink, jam, water, energy,
        experience, time, soup""")
    ),
    transitive_thing=verbs(
        """
        repair, damage, destroy, describe, discard, inspect, fetch, mention, obtain, conceal,
        display, retrieve, restore, locate, seize, replace, remove, acquire, identify, ruin,
        confiscate, modify, salvage, fix, grab grabbed, make made, uncover, request, reject,
        examine, appraise, misuse, reclaim, relinquish, carry, find found, demand, recommend,
        misplace, dismantle, overlook, demolish, scrutinize,
        disregard, deface, procure, evaluate, wreck, mislay mislaid, withhold withheld""",
        "thing",
    ),
    transitive_person=verbs(
        """
        blame, praise, admire, insult, embarrass, injure, protect, comfort, console, disgrace,
        flatter, humiliate, introduce, ridicule, betray, distract, soothe, reassure, torment,
        frighten, discredit, underestimate, undermine, rescue, incriminate, commend, congratulate,
        belittle, reprimand, exonerate, misjudge, slander, thank, accuse, punish, deceive, arrest,
        endanger, pamper, greet, wound, outwit outwitted, berate, chastise, befriend, accost,
        enrage, intimidate, appease, imprison, rebuke""",
        "person",
    ),
    intransitive=verbs("""
        arrive, sneeze, vanish, sleep slept, laugh, cough, smile, yawn, snore, tremble, faint,
        blush, shiver, giggle, frown, sigh, weep wept, stumble, sob sobbed, hesitate, disappear,
        perspire, chuckle, swoon, slouch, crouch, loiter, linger, doze, limp, meditate, misbehave,
        procrastinate, grin grinned, shudder, snooze, nap napped, kneel knelt, apologize, cry, scream, pray,
        gossip, complain, rejoice, squint, waver, sulk, dither, die, participate, cooperate, whine, squirm"""),
    actions=verbs("""
        work, walk, travel, dance, jump, shout, live, exercise, camp, whisper, whistle, jog jogged,
        skate, ski, shave, dream, wander, fight fought, stand stood, stay, compete, hike, sunbathe,
        march, play, wait, study, relax, rest, swim swam swum swimming, run ran run running, smoke, fish,
        climb, gamble, practice, lie lay lain lying, sail"""),
    events=verbs("""
        tick, melt, leak, rust, crack, explode, float, sink sank sunk, roll, spin spun, fade, glow, creak,
        squeak, rattle, wobble, drip dripped, sparkle, glitter, shrink shrank shrunk, collapse, rot rotted, shine shone,
        bounce, topple, spill"""),
    activities=activities("""
        write wrote written = poem novel essay; eat ate eaten = apple sandwich banana cookie;
        drive drove driven = truck van taxi; sing sang sung = hymn ballad anthem;
        ride rode ridden = pony motorcycle scooter; break broke broken = window mug bowl;
        wear wore worn = sweater coat dress; tear tore torn = curtain poster shirt;
        drink drank drunk = beer lemonade cocktail; grow grew grown = rose cabbage sunflower;
        bury = treasure diamond; weave wove woven = carpet tapestry;
        sew = quilt costume; begin began begun beginning = lesson speech;
        ring rang rung = doorbell gong; launch = ship raft; undo undid undone = knot zipper;
        rewrite rewrote rewritten = chapter paragraph; overthrow overthrew overthrown = government tyrant;
        foresee foresaw foreseen = disaster crisis/crises; undertake undertook undertaken = expedition;
        overcome overcame overcome = obstacle fear;
        redo redid redone = calculation test;
        build built = bridge boat wall; catch caught = butterfly ball; lose lost = passport earring;
        earn = medal salary; pay paid = bill fine; hold held = meeting concert;
        sweep swept = floor staircase; light lit = fire torch; rebuild rebuilt = temple chimney;
        leave left = room stage; shoot shot shot shooting = film arrow;
        wash = towel sock; cook = meal turkey pancake; open = drawer gate jar;
        close = lid shutter; watch = parade cartoon; visit = island monument cave;
        cancel = flight appointment; answer = question email; translate = document proverb;
        invent = machine telescope; plant = tree bush tulip; peel = onion orange;
        slice = cucumber melon; fold = napkin sheet; polish = trumpet boot; solve = riddle equation;
        publish = journal dictionary; deliver = pizza package; copy = recipe;
        borrow = textbook calculator; sign = contract petition; cross = river road;
        order = dessert steak; taste = sauce pie; fill = barrel tank; record = interview symphony;
        design = website logo/logos; bake = cake; clean = oven bathtub; rent = villa cabin;
        explore = jungle desert; buy bought = piano/pianos laptop; paint = fence ceiling;
        read read = newspaper magazine"""),
    strong=(
        *verbs(
            """
            choose chose chosen, draw drew drawn, shake shook shaken, steal stole stolen,
            take took taken, throw threw thrown, see saw seen""",
            "thing",
        ),
        *verbs(
            """
            forgive forgave forgiven, forsake forsook forsaken, outdo outdid outdone,
            oversee oversaw overseen, overtake overtook overtaken""",
            "person",
        ),
        *verbs("""
            come came come, fall fell fallen, fly flew flown,
            freeze froze frozen, go went gone, misspeak misspoke misspoken,
            overeat overate overeaten, speak spoke spoken, swear swore sworn,
            withdraw withdrew withdrawn"""),
    ),
    ditransitive=verbs("""
        give gave given, show showed shown, lend lent, send sent, mail, loan, hand, bring brought, award, sell sold"""),
    declarative=verbs("""
        say said, think thought, claim, suggest, hope, suspect, conclude, assert, argue,
        guess, insist, state, imply, infer inferred, deduce, maintain"""),
    responsive=verbs("""
        know knew known, remember, discover, reveal, explain, notice, learn, realize, recall,
        confirm, disclose, forget forgot forgotten forgetting, hear heard, understand understood"""),
    object_control=verbs("""
        want, force, persuade, encourage, enable, compel compelled, invite, permit permitted, tempt,
        oblige, train, hire, inspire, motivate, coax, pressure, convince, remind, bribe,
        entice, nudge"""),
    desire=verbs("""
        plan planned, expect, try, prefer preferred, intend, attempt, love, fail, tend, deserve, struggle,
        prepare"""),
    infinitival=verbs("""
        decide, agree, refuse, promise, manage, wish, offer, pretend, threaten, vow, aim,
        strive strove striven, consent, volunteer, decline, pledge, seek sought"""),
    gerundial=verbs("""
        enjoy, avoid, finish, postpone, resist, abandon, risk, resume, consider, deny, contemplate,
        relish, resent, discontinue, keep kept, miss"""),
    particle=verbs("""
        pick:up, put:down put put putting, turn:off,
        set:aside set set setting, clear:away, toss:away, point:out, push:aside,
        haul:away, tie:up, lock:up, pack:up, trade:in, track:down, dig:up dug dug digging, dust:off,
        hang:up hung, switch:on, wipe:off"""),
    prepositional=verbs("""
        look:at, stare:at, glance:at, gaze:at, peer:at, sneer:at, search:for, care:for,
        vouch:for, rely:on, depend:on, comment:on, deal:with dealt, cope:with, tamper:with,
        experiment:with, talk:about, worry:about, inquire:about, joke:about, dispose:of, listen:to"""),
)
"""Every content word of the corpus."""

OBJECT_OPTIONAL = entries("""
    write, eat, drive, sing, ride, drink, leave, cook, paint, bake, clean""")
"""The activities that do without their object: *she paints*, *he left*."""

NO_VERBS_ALONE = entries("""
    camp, clean, crack, exercise, faint, fish, glitter, gossip, limp, play, practice, rest, rot, rust, shine, sleep,
    smoke, sparkle, spin, work""")
"""Verbs whose base is an adjective or a mass noun, too, and may follow *is*: *she is limp*, *it is rust*."""

HUMAN_ADJECTIVES = adjectives("""
    tall taller tallest, short shorter shortest, young younger youngest, old older oldest,
    kind kinder kindest, clever, brave braver bravest, strong stronger strongest,
    rich richer richest, lazy lazier laziest, polite, careful, patient, famous, generous, ambitious,
    intelligent, happy happier happiest, sad sadder saddest, hungry hungrier hungriest, busy busier busiest,
    nice nicer nicest, smart smarter smartest, weak weaker weakest, rude ruder rudest, thin thinner thinnest,
    nervous, curious, serious, cheerful, talented""")
THING_ADJECTIVES = adjectives("""
    old older oldest, new newer newest, small smaller smallest, large larger largest,
    heavy heavier heaviest, cheap cheaper cheapest, strange stranger strangest, ugly uglier ugliest,
    dirty dirtier dirtiest, expensive, beautiful, elegant, unusual, valuable, big bigger biggest,
    long longer longest, thick thicker thickest,
    colorful, modern, comfortable, practical, fragile""")
MANNER_ADVERBS = entries("""
    calmly, carefully, eagerly, happily, nervously, openly, patiently, quickly, quietly,
    reluctantly, secretly, slowly, suddenly""")
PAST_TIMES = entries("yesterday, last night, last week, last month, two days ago")
FUTURE_TIMES = entries("tomorrow, tomorrow morning, next week, next month, next year")
